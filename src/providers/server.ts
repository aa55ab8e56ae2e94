import { parseS3Repository, type S3Repository, type S3RepositoryRefusal } from './s3-repository.ts';

/** A server by its scheme, host and port. */
export type Server = Pick<S3Repository, 'endpoint' | 'host' | 'isTls'>;

/** Parses `host`, `host:port` (both mean https) or a URL without a path, by the rules for repositories. */
export function parseServer(text: string): Server | S3RepositoryRefusal {
  const authority = text.replace(/^https?:\/\//, '');
  if (authority.includes('/')) return { reason: 'it has more than a host and a port' };
  return parseS3Repository(`s3:${text}/-`);
}
