import type { CheckId, Finding } from '../../src/validation.ts';
import { findingOf } from './failure.ts';

/** What needs a bucket to be tried. */
const OF_BUCKET: readonly CheckId[] = ['bucket', 'list', 'write', 'read_back', 'delete'];

/** What needs a repository. */
const OF_REPOSITORY: readonly CheckId[] = ['repository', 'password'];

/** What a set is not tried for that names no bucket. */
export function withoutBucket(): Finding[] {
  return [...OF_BUCKET.map((check) => missing(check, 'bucket')), ...withoutRepository()];
}

/** What a set is not tried for that names no repository. */
export function withoutRepository(): Finding[] {
  return OF_REPOSITORY.map((check) => missing(check, 'backup_repo'));
}

function missing(check: CheckId, field: string): Finding {
  return findingOf(check, 'skipped', 'missing_field', { field, subject: field });
}
