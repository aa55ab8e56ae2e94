/** Where a repository lies on an S3 server. */
export interface S3Repository {
  /** Scheme, host and port, as in `https://s3.amazonaws.com`. */
  readonly endpoint: string;
  readonly host: string;
  readonly isTls: boolean;
  readonly bucket: string;
  /** Key prefix without slashes at its ends; empty for the root of the bucket. */
  readonly prefix: string;
}

/** Why a text is no S3 repository; a reason never repeats the text. */
export type S3RepositoryRefusal = { readonly reason: string };

const AMAZON_HOST = /(?:^|\.)amazonaws\.com(?:\.cn)?$/;
const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/i;

/**
 * Reads a repository as restic writes it: `s3:https://host[:port]/bucket[/prefix]`, the same with `http`,
 * `s3://host/bucket/prefix` or `s3:host/bucket/prefix` (the last two mean https).
 *
 * Stricter than restic (`internal/backend/s3/config.go`), which takes `https://host/` for an empty bucket, and drops
 * user, query and fragment in silence.
 */
export function parseS3Repository(text: string): S3Repository | S3RepositoryRefusal {
  if (!text.startsWith('s3:')) return { reason: 'it does not start with s3:' };
  const location = /^s3:(?:(https?):\/\/|\/\/)?([^/]*)(?:\/(.*))?$/.exec(text);
  const [, scheme, authority = '', path = ''] = location ?? [];
  if (location === null || /[\s\u0000-\u001f\u007f]/.test(text)) return { reason: 'it has spaces or control characters' };
  if (authority.includes('@')) return { reason: 'it has a user or a key in it; those belong into credentials of their own' };
  if (/[?#]/.test(text)) return { reason: 'it has a query or a fragment, which restic would ignore' };
  const host = HOST.exec(authority);
  if (host === null || Number(host[1] ?? 1) > 65_535 || Number(host[1] ?? 1) === 0) return { reason: 'it has no valid host' };
  if (/^https?:?$/i.test(authority)) return { reason: 'it has no valid host' };
  const [bucket = '', ...rest] = path.split('/').filter((part) => part !== '');
  if (bucket === '') return { reason: 'it has no bucket' };
  if (bucket === '.' || bucket === '..' || rest.includes('..') || rest.includes('.')) {
    return { reason: 'it has . or .. in its path' };
  }
  const isTls = scheme !== 'http';
  const lower = authority.toLowerCase();
  return { endpoint: `${isTls ? 'https' : 'http'}://${lower}`, host: lower, isTls, bucket, prefix: rest.join('/') };
}

/** Tells whether a repository lies at Amazon, whose tools then need no endpoint. */
export function isAmazon(repository: S3Repository): boolean {
  return AMAZON_HOST.test(repository.host.replace(/:\d+$/, ''));
}
