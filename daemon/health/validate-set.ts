import { findMistakes } from '../../src/mistakes.ts';
import { REPOSITORY_FIELDS } from '../../src/providers/common-fields.ts';
import { usesIdentity } from '../../src/sets.ts';
import { CHECKS, hasFailed } from '../../src/validation.ts';
import type { CheckId, Finding } from '../../src/validation.ts';
import type { Subscribe } from '../emitter.ts';
import type { JobOwner } from '../probe/job-bounds.ts';
import type { Prober } from '../probe/prober.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { Candidate } from './candidate.ts';

/** A field without effect in a user's own set: metadata services answer at link-local addresses. */
const LINK_LOCAL = 'allow_link_local';

/** How a set is validated. */
export interface ValidationOptions {
  /** For whom the set is validated. */
  readonly owner: JobOwner;
  /** Only the values are checked, and no server is asked. */
  readonly shapeOnly: boolean;
  readonly restoreOnly: boolean;
  readonly makeBucket: boolean;
  /** A set that names neither a repository nor a bucket is validated as far as its keys. */
  readonly keysSuffice: boolean;
}

/**
 * Validates a set: first its values by themselves, then, in another process, the servers that they lead to. Yields
 * findings as they are made. A check that was not made is reported as skipped, with the reason.
 *
 * @throws CredentialError `Busy`
 */
export async function* validateSet(
  prober: Prober,
  candidate: Candidate,
  options: ValidationOptions,
  onGone: Subscribe,
): AsyncGenerator<readonly Finding[], void, undefined> {
  const { set, provider, values } = candidate;
  const shape = findShape(candidate, options);
  yield shape.length > 0 ? shape : [{ check: 'shape', state: 'passed' }];
  if (options.shapeOnly) return;
  if (hasFailed(shape) || provider === undefined) {
    yield allSkippedExcept(['shape'], 'shape');
    return;
  }
  // The identity is the machine's, and not that of each of its users: a user who may not ask the metadata service could
  // make the prober list, read and write in the machine's name.
  if (usesIdentity(values.get('use_iam')) && candidate.space !== SHARED_SPACE) {
    yield [{ check: 'key', state: 'failed', reason: 'identity_not_shared', field: 'use_iam' }];
    yield allSkippedExcept(['shape', 'key'], 'key');
    return;
  }
  const { owner, restoreOnly, makeBucket } = options;
  const given = Object.fromEntries(
    [...values].filter(([field]) => candidate.space === SHARED_SPACE || field !== LINK_LOCAL),
  );
  const job = { set, provider: provider.id, values: given, restoreOnly, makeBucket };
  for await (const finding of prober.probe(job, owner, onGone)) yield [finding];
}

/** Tells whether a set that lacks fields can be validated at all. */
export function isValidatable(missing: readonly string[], hasBucket: boolean): boolean {
  return missing.length === 0 || (hasBucket && missing.every((field) => REPOSITORY_FIELDS.includes(field)));
}

function findShape(
  { set, provider, values, notText, primary }: Candidate,
  { keysSuffice }: ValidationOptions,
): Finding[] {
  const unreadable = notText.map((field): Finding => ({ check: 'shape', state: 'failed', reason: 'not_text', field }));
  const mistakes = findMistakes(set, provider, values, primary).filter(
    ({ field }) => field === undefined || !notText.includes(field),
  );
  const missing = mistakes.flatMap(({ reason, field }) => (reason === 'missing_field' ? (field ?? []) : []));
  const isEnough = isValidatable(missing, keysSuffice || values.has('bucket'));
  return [
    ...unreadable,
    ...mistakes.map((one) =>
      isEnough && one.reason === 'missing_field' ? { ...one, state: 'warning' as const } : one,
    ),
  ];
}

/** Returns all checks but those reported already, as skipped because one failed. */
function allSkippedExcept(reported: readonly CheckId[], failed: CheckId): Finding[] {
  return CHECKS.filter((check) => !reported.includes(check)).map((check) => ({
    check,
    state: 'skipped',
    reason: 'earlier_failure',
    subject: failed,
  }));
}
