/** Where a repository lies on an S3 server. */
export interface S3Repository {
  /** Scheme, host and port, as in `https://s3.amazonaws.com`. */
  readonly endpoint: string;
  /** In lower case, with the port where there is one. */
  readonly host: string;
  readonly isTls: boolean;
  readonly bucket: string;
  /** Key prefix without slashes at its ends; empty for the root of the bucket. */
  readonly prefix: string;
}

/** Why a text is no S3 repository; a reason never repeats the text. */
export type S3RepositoryRefusal = { readonly reason: string };

const REPOSITORY = /^s3:(?:(https?):\/\/|(\/\/))?([^/]*)\/?(.*)$/;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const AMAZON_HOST = /(?:^|\.)amazonaws\.com(?:\.cn)?$/;
const LABEL = '[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?';
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*\\.?|\\[[0-9a-f:.]+\\])(?::([0-9]{1,5}))?$`, 'i');

/**
 * Reads a repository as restic writes it: `s3:https://host[:port]/bucket[/prefix]`, the same with `http`,
 * `s3://host/bucket/prefix` or `s3:host/bucket/prefix` (the last two mean https). The path of the first two is
 * percent-decoded, that of the others is not.
 *
 * Stricter than restic (`internal/backend/s3/config.go`), which takes `https://host/` for an empty bucket, and drops
 * user, query and fragment in silence. What it would read in another way than it looks is refused.
 */
export function parseS3Repository(text: string): S3Repository | S3RepositoryRefusal {
  if (!text.startsWith('s3:')) return { reason: 'it does not start with s3:' };
  if (/\s/.test(text) || INVISIBLE.test(text)) return { reason: 'it has spaces or control characters' };
  if (/[?#]/.test(text)) return { reason: 'it has a query or a fragment, which restic would ignore' };
  const [, scheme, slashes, authority = '', path = ''] = REPOSITORY.exec(text) ?? [];
  if (authority.includes('@'))
    return { reason: 'it has a user or a key in it; those belong into credentials of their own' };
  // restic takes everything that starts with s3:http for a URL, and finds no host in this one.
  const isMisread = scheme === undefined && slashes === undefined && authority.startsWith('http');
  if (isMisread || !isHost(authority)) return { reason: 'it has no valid host' };
  const location = parsePath(scheme === undefined ? path : decodePath(path));
  if ('reason' in location) return location;
  const isTls = scheme !== 'http';
  const host = authority.toLowerCase();
  return { endpoint: `${isTls ? 'https' : 'http'}://${host}`, host, isTls, ...location };
}

/** Tells whether a repository lies at Amazon, whose tools then need no endpoint. */
export function isAmazon({ host }: Pick<S3Repository, 'host'>): boolean {
  return AMAZON_HOST.test(host.replace(/:\d+$/, ''));
}

/** A name, an IPv4 or a bracketed IPv6 address, with or without a port. A host `http` is a URL with a slash missing. */
function isHost(authority: string): boolean {
  const match = HOST.exec(authority);
  if (match === null || /^https?$/i.test(authority)) return false;
  const port = Number(match[1] ?? 443);
  return port > 0 && port <= 65_535;
}

/** Undefined where the percent signs make no UTF-8 text. */
function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** The part up to the first slash is the bucket; a prefix is cleaned like Go's `path.Clean` does it. */
function parsePath(path: string | undefined): Pick<S3Repository, 'bucket' | 'prefix'> | S3RepositoryRefusal {
  if (path === undefined || INVISIBLE.test(path)) return { reason: 'it has an invalid percent sign in its path' };
  const [bucket = '', ...parts] = path.split('/');
  if (bucket === '') return { reason: 'it has no bucket' };
  // restic would keep that slash as the first character of all keys.
  if (parts.length > 1 && parts[0] === '') return { reason: 'it has two slashes after its bucket' };
  if ([bucket, ...parts].some((part) => part === '.' || part === '..')) return { reason: 'it has . or .. in its path' };
  return { bucket, prefix: parts.filter((part) => part !== '').join('/') };
}
