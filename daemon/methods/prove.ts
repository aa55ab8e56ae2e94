import { CredentialError } from '../../src/errors.ts';
import type { ProveOut, SavedCredential } from '../../src/protocol/interface.generated.ts';
import { membershipOf, memberName } from '../../src/sets.ts';
import { hasFailed } from '../../src/validation.ts';
import type { Finding } from '../../src/validation.ts';
import { ownerOfSpace, spaceToWrite } from '../access/rules.ts';
import { formatUuid } from '../access/set-uuid.ts';
import { viewSet, wholeSet } from '../access/set-view.ts';
import { Latch } from '../emitter.ts';
import { overlayCandidate } from '../health/candidate.ts';
import type { Candidate } from '../health/candidate.ts';
import { validateSet } from '../health/validate-set.ts';
import type { StreamingMethod } from './context.ts';
import { findingToWire } from './finding-to-wire.ts';
import { checkCredentials, requireAbsent, saveCredentials, wipeCredentials } from './new-credentials.ts';
import type { CheckedCredential } from './new-credentials.ts';

/**
 * Validates what a set would be with new credentials, and stores them only if nothing failed. Until then they are only
 * in the memory of this call.
 */
export const prove: StreamingMethod<'Prove'> = async function* (context, caller, parameters, onGone) {
  const { vault, prober, health, now } = context;
  const space = spaceToWrite(caller, parameters.owner);
  const given = checkCredentials(parameters.credentials);
  using gone = new Latch(onGone);
  try {
    const set = setOf(given);
    const makeBucket = parameters.makeBucket === true;
    const unlocked = vault.unlocked();
    const { credentials, candidate, generation } = vault.read((reader) => {
      if (parameters.replace !== true) requireAbsent(reader, space, given);
      const overlay = (values: readonly CheckedCredential[]): Candidate =>
        overlayCandidate(reader, caller, { space, set }, viewSet(caller, reader, space, set), byField(values));
      const first = overlay(given);
      const bucket = makeBucket ? bucketFor(first, vault.storeId) : undefined;
      const all = bucket === undefined ? given : [...given, bucket];
      return {
        credentials: all,
        candidate: bucket === undefined ? first : overlay(all),
        generation: wholeSet(reader, space, set).generation,
      };
    });
    const answer = (
      findings: readonly Finding[],
      failed: boolean,
      stored: { generation?: number; saved: SavedCredential[] } = { saved: [] },
    ): ProveOut => ({
      set,
      owner: ownerOfSpace(space),
      findings: findings.map((one) => findingToWire(set, one)),
      failed,
      ...stored,
    });

    const restoreOnly = parameters.restoreOnly === true;
    const options = { owner: caller, shapeOnly: false, restoreOnly, makeBucket, keysSuffice: true };
    const found: Finding[] = [];
    for await (const findings of validateSet(prober, candidate, options, onGone)) {
      found.push(...findings);
      yield answer(findings, hasFailed(found));
    }
    if (hasFailed(found)) return answer([], true);
    if (gone.isSet || !isProved(found)) return answer([PROBER_FAILED], true);
    const stored = await vault.write((writer) => {
      const actual = wholeSet(writer, space, set).generation;
      // Generations from before a restore are counted differently.
      const isSameStore = vault.unlocked() === unlocked;
      if (actual !== generation || !isSameStore)
        throw new CredentialError('Conflict', { expected: generation, actual });
      const saved = saveCredentials(writer, credentials, { space, changed: now(), changedBy: caller.uid });
      const proved = writer.generation(space);
      health.recordProved(writer, { space, set, generation: proved, findings: found });
      return { generation: proved, saved };
    }, caller.uid);
    return answer([], false, stored);
  } finally {
    wipeCredentials(given);
  }
};

/** The finding if the prober says nothing, or stops half-way: that proves nothing. */
const PROBER_FAILED: Finding = { check: 'resolve', state: 'failed', reason: 'prober_failed' };

function isProved(found: readonly Finding[]): boolean {
  const isTried = found.some(({ check, state }) => check !== 'shape' && (state === 'passed' || state === 'warning'));
  return isTried && !found.some(({ reason }) => reason === 'cancelled');
}

/** @throws CredentialError `InvalidName` if one is in no set, or in another set than the first */
function setOf(credentials: readonly CheckedCredential[]): string {
  const [first, ...others] = credentials.map(({ name }) => ({ name, set: membershipOf(name)?.set }));
  const stray = [first, ...others].find((one) => one?.set === undefined || one.set !== first?.set);
  if (first?.set !== undefined && stray === undefined) return first.set;
  const reason = stray?.set === undefined ? 'it is not a field of a set' : 'it is of another set than the first';
  throw new CredentialError('InvalidName', { name: stray?.name ?? '', reason });
}

function byField(credentials: readonly CheckedCredential[]): Map<string, Uint8Array> {
  return new Map(credentials.map(({ name, value }) => [membershipOf(name)?.field ?? name, value]));
}

/** Returns a bucket named after the store's id; undefined if the set names a place, or its provider has no buckets. */
function bucketFor({ set, provider, values }: Candidate, storeId: Uint8Array): CheckedCredential | undefined {
  const takesBucket = provider?.fields.some(({ id }) => id === 'bucket') === true;
  if (!takesBucket || values.has('bucket') || values.has('backup_repo')) return undefined;
  return { name: memberName(set, 'bucket'), value: Buffer.from(formatUuid(storeId)) };
}
