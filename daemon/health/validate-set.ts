import { findMistakes } from '../../src/mistakes.ts';
import { REPOSITORY_FIELDS } from '../../src/providers/common-fields.ts';
import { usesIdentity } from '../../src/sets.ts';
import { CHECKS, hasFailed } from '../../src/validation.ts';
import type { CheckId, Finding } from '../../src/validation.ts';
import type { Gone } from '../gone.ts';
import type { JobOwner } from '../probe/job-bounds.ts';
import type { Prober } from '../probe/prober.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { Candidate } from './candidate.ts';

/** Of no effect in a user's own set: metadata services answer at such addresses. */
const LINK_LOCAL = 'allow_link_local';

/** How a set is tried out. */
export interface Trial {
  /** For whom. */
  readonly owner: JobOwner;
  /** The values are looked at, and no server is asked. */
  readonly shapeOnly: boolean;
  readonly restoreOnly: boolean;
  readonly makeBucket: boolean;
  /** A set that names no place at all is tried as far as its keys. */
  readonly keysSuffice: boolean;
}

/**
 * Tries a set out: first its values by themselves, then, in another process, the servers that they lead to. What it finds
 * comes as it is found; what was not tried is skipped, with its reason.
 *
 * @throws CredentialError `Busy`
 */
export async function* tryOut(
  prober: Prober,
  candidate: Candidate,
  trial: Trial,
  gone: Gone,
): AsyncGenerator<readonly Finding[], void, undefined> {
  const { set, provider, values } = candidate;
  const shape = findShape(candidate, trial);
  yield shape.length > 0 ? shape : [{ check: 'shape', state: 'passed' }];
  if (trial.shapeOnly) return;
  if (hasFailed(shape) || provider === undefined) {
    yield skippedBut(['shape'], 'shape');
    return;
  }
  // It is the machine's right, and not that of every user of it: one who may not ask the metadata service himself would have
  // the prober list, read and write in its name.
  if (usesIdentity(values.get('use_iam')) && candidate.space !== SHARED_SPACE) {
    yield [{ check: 'key', state: 'failed', reason: 'identity_not_shared', field: 'use_iam' }];
    yield skippedBut(['shape', 'key'], 'key');
    return;
  }
  const { owner, restoreOnly, makeBucket } = trial;
  const given = Object.fromEntries(
    [...values].filter(([field]) => candidate.space === SHARED_SPACE || field !== LINK_LOCAL),
  );
  const job = { set, provider: provider.id, values: given, restoreOnly, makeBucket };
  for await (const finding of prober.probe(job, owner, gone)) yield [finding];
}

/** Tells whether a set that lacks fields can be tried at all. */
export function isTriable(missing: readonly string[], hasBucket: boolean): boolean {
  return missing.length === 0 || (hasBucket && missing.every((field) => REPOSITORY_FIELDS.includes(field)));
}

function findShape({ set, provider, values, notText, primary }: Candidate, { keysSuffice }: Trial): Finding[] {
  const unreadable = notText.map((field): Finding => ({ check: 'shape', state: 'failed', reason: 'not_text', field }));
  const mistakes = findMistakes(set, provider, values, primary).filter(
    ({ field }) => field === undefined || !notText.includes(field),
  );
  const missing = mistakes.flatMap(({ reason, field }) => (reason === 'missing_field' ? (field ?? []) : []));
  const isEnough = isTriable(missing, keysSuffice || values.has('bucket'));
  return [
    ...unreadable,
    ...mistakes.map((one) =>
      isEnough && one.reason === 'missing_field' ? { ...one, state: 'warning' as const } : one,
    ),
  ];
}

/** Everything but what was told of already is skipped, for what failed. */
function skippedBut(told: readonly CheckId[], failed: CheckId): Finding[] {
  return CHECKS.filter((check) => !told.includes(check)).map((check) => ({
    check,
    state: 'skipped',
    reason: 'earlier_failure',
    subject: failed,
  }));
}
