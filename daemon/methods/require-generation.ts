import { CredentialError } from '../../src/errors.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, membershipOf } from '../../src/sets.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE, currentVersion, removalOf } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';
import { isTakenBack } from '../vault/taken-back.ts';

/**
 * Compare-and-set: refuses a change where one of the credentials, or the rest of a set that one is in, changed after the
 * generation that the caller has seen, or where that generation is one that a restore took back. 0 stands for "nothing of it is there yet".
 *
 * A set that the caller has seen, or a credential of none, of which nothing is there any more is a conflict with 0.
 *
 * @param ofSets by the name of a set, the names of all that is there of it, where that is known
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
  // A set has far more fields than are there: where that is listed, the others are not looked for.
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
  // The generation of what is there is good in any range, which may cover more than was taken back: who reads again gets on.
  if (actual > expected || (actual < expected && isTakenBack(principal, expected))) {
    throw new CredentialError('Conflict', { expected, actual });
  }
}

/** A set is seen as one, and a credential of none by itself. */
function seenAs(name: string): string {
  const set = membershipOf(name)?.set;
  return set === undefined ? `name ${name}` : `set ${set}`;
}
