import { CredentialError } from '../../src/errors.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, membershipOf } from '../../src/sets.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';

/**
 * Compare-and-set: refuses a change where one of the credentials, or the rest of a set that one is in, changed after the
 * generation that the caller has seen. 0 stands for "nothing of it is there yet".
 *
 * What was removed has left nothing but the number of the last removal in the space. Where something is not there, that
 * counts as its change: it may be another one's, and a conflict too many is better than a lost update.
 *
 * @throws CredentialError `Conflict`
 */
export function requireGeneration(
  reader: VaultReader,
  space: Space,
  names: readonly string[],
  expected: number | null | undefined,
): void {
  if (expected === null || expected === undefined) return;
  const sets = new Set(names.flatMap((name) => membershipOf(name)?.set ?? []));
  const members = [...sets].flatMap((set) => FIELD_IDS.map((field) => memberName(set, field)));
  const addressed = [...new Set([...names, ...members])];
  const records = addressed.flatMap((name) => reader.credential(space, name) ?? []);
  const generations = records.map((record) => currentVersion(record).generation);
  const isSomethingAbsent = expected > 0 && records.length < addressed.length;
  if (isSomethingAbsent) generations.push(reader.principal(space)?.lastRemoval ?? 0);
  const actual = Math.max(0, ...generations);
  if (actual > expected) throw new CredentialError('Conflict', { expected, actual });
}
