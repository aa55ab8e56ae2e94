import type { CheckId, Finding } from '../../src/validation.ts';
import { findingOf } from './failure.ts';

/** Checks that need a bucket. */
const OF_BUCKET: readonly CheckId[] = ['bucket', 'list', 'write', 'read_back', 'delete'];

/** Checks that need a repository. */
const OF_REPOSITORY: readonly CheckId[] = ['repository', 'password'];

/** Findings of the checks that are skipped for a set that names no bucket. */
export function withoutBucket(): Finding[] {
  return [...OF_BUCKET.map((check) => missing(check, 'bucket')), ...withoutRepository()];
}

/** Findings of the checks that are skipped for a set that names no repository. */
export function withoutRepository(): Finding[] {
  return OF_REPOSITORY.map((check) => missing(check, 'backup_repo'));
}

function missing(check: CheckId, field: string): Finding {
  return findingOf(check, 'skipped', 'missing_field', { field, subject: field });
}
