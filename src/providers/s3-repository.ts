/** The location of a repository on an S3 server. */
export interface S3Repository {
  /** Scheme, host and port, as in `https://s3.amazonaws.com`. */
  readonly endpoint: string;
  /** In lower case, with the port if there is one. */
  readonly host: string;
  readonly isTls: boolean;
  readonly bucket: string;
  /** Key prefix without slashes at its ends; empty for the root of the bucket. */
  readonly prefix: string;
}

/** The reason why a text is not an S3 repository. It never repeats the text. */
export type S3RepositoryRefusal = { readonly reason: string };

const REPOSITORY = /^s3:(?:(https?):\/\/|(\/\/))?([^/]*)\/?(.*)$/;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const AMAZON_HOST = /(?:^|\.)amazonaws\.com(?:\.cn)?$/;
const LABEL = '[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?';
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*\\.?|\\[[0-9a-f:.]+\\])(?::([0-9]{1,5}))?$`, 'i');

/**
 * Parses a repository as restic does: `s3:https://host[:port]/bucket[/prefix]`, the same with `http`,
 * `s3://host/bucket/prefix` or `s3:host/bucket/prefix` (the last two mean https). The path of the first two is
 * percent-decoded, that of the others is not.
 *
 * Stricter than restic (`internal/backend/s3/config.go`), which reads `https://host/` as an empty bucket, and silently
 * drops user, query and fragment. A text that restic reads differently from what it looks like is refused.
 */
export function parseS3Repository(text: string): S3Repository | S3RepositoryRefusal {
  if (!text.startsWith('s3:')) return { reason: 'it does not start with s3:' };
  if (/\s/.test(text) || INVISIBLE.test(text)) return { reason: 'it has spaces or control characters' };
  if (/[?#]/.test(text)) return { reason: 'it has a query or a fragment, which restic would ignore' };
  const [, scheme, slashes, authority = '', path = ''] = REPOSITORY.exec(text) ?? [];
  if (authority.includes('@'))
    return { reason: 'it has a user or a key in it; store those as credentials of their own' };
  // restic parses everything that starts with s3:http as a URL, and would find no host here.
  const isMisread = scheme === undefined && slashes === undefined && authority.startsWith('http');
  if (isMisread || !isHost(authority)) return { reason: 'it has no valid host' };
  const location = parsePath(scheme === undefined ? path : decodePath(path));
  if ('reason' in location) return location;
  const isTls = scheme !== 'http';
  const host = authority.toLowerCase();
  return { endpoint: `${isTls ? 'https' : 'http'}://${host}`, host, isTls, ...location };
}

/** Tells whether a repository is on Amazon's servers, for which tools need no endpoint. */
export function isAmazon({ host }: Pick<S3Repository, 'host'>): boolean {
  return AMAZON_HOST.test(host.replace(/:\d+$/, ''));
}

/**
 * Accepts a name, an IPv4 address or an IPv6 address in brackets, with or without a port. Refuses `http` and `https`,
 * which are the result of a missing slash in a URL.
 */
function isHost(authority: string): boolean {
  const match = HOST.exec(authority);
  if (match === null || /^https?$/i.test(authority)) return false;
  const port = Number(match[1] ?? 443);
  return port > 0 && port <= 65_535;
}

/** Percent-decodes a path. Returns undefined if the result is not UTF-8 text. */
function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** Splits a path into the bucket, up to the first slash, and the prefix, cleaned as by Go's `path.Clean`. */
function parsePath(path: string | undefined): Pick<S3Repository, 'bucket' | 'prefix'> | S3RepositoryRefusal {
  if (path === undefined || INVISIBLE.test(path)) return { reason: 'it has an invalid percent sign in its path' };
  const [bucket = '', ...parts] = path.split('/');
  if (bucket === '') return { reason: 'it has no bucket' };
  // restic would start every object key with the second slash.
  if (parts.length > 1 && parts[0] === '') return { reason: 'it has two slashes after its bucket' };
  if ([bucket, ...parts].some((part) => part === '.' || part === '..')) return { reason: 'it has . or .. in its path' };
  return { bucket, prefix: parts.filter((part) => part !== '').join('/') };
}
