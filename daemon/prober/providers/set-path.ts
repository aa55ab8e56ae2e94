import type { ColonRepository, ColonRepositoryRefusal } from '../../../src/providers/colon-repository.ts';
import { PREFIX } from '../../../src/providers/common-fields.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import { invalidValue, isGiven } from './set-endpoint.ts';

/** Where objects are in a store. */
export interface SetPath {
  /** Undefined if the set names none. */
  readonly bucket: string | undefined;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
}

/**
 * Reads the path from the repository, which restic uses, or from fields of their own if the set has no repository.
 *
 * @throws ProbeFailure naming the field that is not valid
 */
export function readPath(
  { backup_repo: repository, bucket, prefix }: ProbeJob['values'],
  parse: (text: string) => ColonRepository | ColonRepositoryRefusal,
  isBucket: (name: string) => boolean,
): SetPath {
  if (isGiven(repository)) {
    const parsed = parse(repository);
    if ('reason' in parsed) throw invalidValue('backup_repo');
    return { bucket: parsed.bucket, prefix: withSlash(parsed.prefix) };
  }
  if (isGiven(bucket) && !isBucket(bucket)) throw invalidValue('bucket');
  if (isGiven(prefix) && PREFIX.check?.(prefix) !== undefined) throw invalidValue('prefix');
  return { bucket: isGiven(bucket) ? bucket : undefined, prefix: withSlash(prefix ?? '') };
}

function withSlash(prefix: string): string {
  return prefix === '' ? '' : `${prefix}/`;
}
