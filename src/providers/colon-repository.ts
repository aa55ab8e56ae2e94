/** The location of a repository in a container (Azure) or a bucket (Google). */
export interface ColonRepository {
  readonly bucket: string;
  /** Name prefix without slashes at its ends; empty for the root. */
  readonly prefix: string;
}

/** The reason why a text is not such a repository. It never repeats the text. */
export type ColonRepositoryRefusal = { readonly reason: string };

const BLANK_OR_INVISIBLE = /[\s\p{Cc}\p{Cf}\p{Cs}]/u;

/**
 * Parses `azure:CONTAINER:/PATH` and `gs:BUCKET:/PATH` as restic does (`internal/backend/azure/config.go`,
 * `internal/backend/gs/config.go`): the name ends at the next colon, and the path is cleaned as by Go's `path.Clean`.
 * Nothing is percent-decoded. Stricter than restic, which accepts any name, and `..` as a folder above the root.
 */
export function parseColonRepository(
  text: string,
  scheme: 'azure' | 'gs',
  isBucket: (name: string) => boolean,
): ColonRepository | ColonRepositoryRefusal {
  if (!text.startsWith(`${scheme}:`)) return { reason: `it does not start with ${scheme}:` };
  if (BLANK_OR_INVISIBLE.test(text)) return { reason: 'it has spaces or control characters' };
  const rest = text.slice(scheme.length + 1);
  const colon = rest.indexOf(':');
  if (colon < 0) return { reason: 'it has no second colon' };
  const bucket = rest.slice(0, colon);
  if (!isBucket(bucket)) return { reason: 'it has no valid name between its colons' };
  const parts = rest.slice(colon + 1).split('/');
  if (parts.some((part) => part === '.' || part === '..')) return { reason: 'it has . or .. in its path' };
  return { bucket, prefix: parts.filter((part) => part !== '').join('/') };
}
