import { CredentialError } from '../../src/errors.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, membershipOf } from '../../src/sets.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE, currentVersion, removalOf } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';
import { isLostInRestore } from '../vault/restored-ranges.ts';

/**
 * Compare-and-set: refuses a change if one of the credentials, or any field of the same set, changed after the
 * generation that the caller has seen, or if that generation was lost in a restore. An expected 0 means that nothing of
 * it exists yet.
 *
 * If nothing is left of a set, or of a credential outside of sets, that the caller has seen, the conflict has 0 as the
 * actual generation.
 *
 * @param ofSets by the name of a set, the names of all credentials that it has, if known
 * @throws CredentialError `Conflict`
 */
export function requireGeneration(
  reader: VaultReader,
  space: Space,
  names: readonly string[],
  expected: number | null | undefined,
  ofSets?: ReadonlyMap<string, readonly string[]>,
): void {
  if (expected === null || expected === undefined) return;
  const sets = new Set(names.flatMap((name) => membershipOf(name)?.set ?? []));
  const members = [...sets].flatMap((set) => ofSets?.get(set) ?? FIELD_IDS.map((field) => memberName(set, field)));
  const principal = reader.principal(space);
  // Most sets have few of the many possible fields. A user's record lists the names of the user's credentials, so no
  // other names are looked up.
  const listed = space === SHARED_SPACE ? undefined : new Set(principal?.names);
  const wanted = new Set([...names, ...members.filter((name) => listed?.has(name) ?? true)]);
  const records = [...wanted].flatMap((name) => reader.credential(space, name) ?? []);
  const actual = Math.max(
    0,
    ...records.map((record) => currentVersion(record).generation),
    ...[...sets].map((set) => removalOf(principal, set)),
  );
  const present = new Set(records.map(({ name }) => seenAs(name)));
  const isGone = names.some((name) => !present.has(seenAs(name)));
  if (isGone && expected > 0) throw new CredentialError('Conflict', { expected, actual: 0 });
  // The actual generation is accepted even within a range that was lost in a restore, since a range may cover more than
  // that: a caller that has read again can proceed.
  if (actual > expected || (actual < expected && isLostInRestore(principal, expected))) {
    throw new CredentialError('Conflict', { expected, actual });
  }
}

/** Returns a key for what has one generation: the set that a name belongs to, or else the credential itself. */
function seenAs(name: string): string {
  const set = membershipOf(name)?.set;
  return set === undefined ? `name ${name}` : `set ${set}`;
}
