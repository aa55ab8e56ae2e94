import type { CheckId, Finding } from '../../src/validation.ts';
import { findingOf } from './failure.ts';

/** Checks that need a bucket. */
const BUCKET_CHECKS: readonly CheckId[] = ['bucket', 'list', 'write', 'read_back', 'delete'];

/** Checks that need a repository. */
const REPOSITORY_CHECKS: readonly CheckId[] = ['repository', 'password'];

/** Findings of the checks that are skipped for a set that names no bucket. */
export function skippedWithoutBucket(): Finding[] {
  return [...BUCKET_CHECKS.map((check) => skipped(check, 'bucket')), ...skippedWithoutRepository()];
}

/** Findings of the checks that are skipped for a set that names no repository. */
export function skippedWithoutRepository(): Finding[] {
  return REPOSITORY_CHECKS.map((check) => skipped(check, 'backup_repo'));
}

function skipped(check: CheckId, field: string): Finding {
  return findingOf(check, 'skipped', 'missing_field', { field, subject: field });
}
