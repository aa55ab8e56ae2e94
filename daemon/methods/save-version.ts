import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, membershipOf } from '../../src/sets.ts';
import { requireWithinQuota } from '../access/quota.ts';
import { SHARED_SPACE, currentVersion, emptyPrincipal } from '../vault/records.ts';
import type { CredentialRecord, Space, VersionEntry } from '../vault/records.ts';
import { exists } from '../vault/reader.ts';
import { PublicRandom } from '../vault/public-random.ts';
import type { VaultWriter } from '../vault/transaction.ts';

const CREDENTIAL_ID_BYTES = 16;

/** Versions of a credential that are kept, the current one included. */
export const VERSIONS_KEPT = 10;

/**
 * For how many sets of a space the generation of the last removal is remembered: each commit in the space writes all of
 * them again, half a megabyte with the longest names.
 */
export const REMOVALS_MAX = 4000;
const ids = new PublicRandom();

/** A new version of a credential, or its first one. */
export interface NewVersion {
  readonly space: Space;
  readonly name: string;
  /** The credential as it is; undefined for a new one. */
  readonly existing: CredentialRecord | undefined;
  readonly value: Uint8Array;
  readonly changed: number;
  readonly changedBy: number;
  readonly restoredFrom?: number;
}

/**
 * Stores a version as the current one, and drops the oldest ones over the number that is kept.
 *
 * @returns the number of the version
 * @throws CredentialError `TooLarge` if a user's quota is used up
 */
export function saveVersion(writer: VaultWriter, saved: NewVersion): number {
  const { space, name, existing, value, changed, changedBy, restoredFrom } = saved;
  const version = existing === undefined ? 1 : currentVersion(existing).version + 1;
  const entry: VersionEntry = {
    version,
    generation: writer.generation(space),
    changed,
    changedBy,
    size: value.length,
    ...(restoredFrom === undefined ? {} : { restoredFrom }),
  };
  const base = existing ?? {
    id: Buffer.from(ids.take(CREDENTIAL_ID_BYTES)).toString('hex'),
    space,
    name,
    created: changed,
    createdBy: changedBy,
    versions: [],
  };
  const versions = [...base.versions, entry];
  const dropped = versions.slice(0, -VERSIONS_KEPT);
  const record = { ...base, versions: versions.slice(-VERSIONS_KEPT) };
  for (const old of dropped) writer.deleteValue(record, old.version);
  writer.putCredential(record, value);
  const bytes = value.length - dropped.reduce((sum, old) => sum + old.size, 0);
  accountFor(writer, space, existing === undefined ? name : undefined, bytes);
  return version;
}

/**
 * Removes credentials of one space with all their versions. The generation of the removal is remembered for each set of
 * which something is left. If nothing is left, the health of the set is removed, too.
 *
 * @param ofSets by the name of a set, the names of all credentials that it has before, if known
 * @returns the sets of which nothing is left
 */
export function removeCredentials(
  writer: VaultWriter,
  space: Space,
  records: readonly CredentialRecord[],
  ofSets?: ReadonlyMap<string, readonly string[]>,
): string[] {
  const generation = writer.generation(space);
  for (const record of records) writer.deleteCredential(record);
  const names = new Set(records.map(({ name }) => name));
  const sets = new Set(records.flatMap(({ name }) => membershipOf(name)?.set ?? []));
  const isLeft = (set: string): boolean =>
    ofSets?.get(set)?.some((name) => !names.has(name)) ??
    FIELD_IDS.some((field) => exists(writer, space, memberName(set, field)));
  const old = writer.principal(space) ?? emptyPrincipal(space);
  const removals = new Map(Object.entries(old.removals ?? {}));
  const emptied: string[] = [];
  for (const set of sets) {
    removals.delete(set);
    if (isLeft(set)) removals.set(set, generation);
    else emptied.push(set);
  }
  const newestFirst = [...removals].toSorted(([, a], [, b]) => b - a);
  const forgotten = newestFirst.slice(REMOVALS_MAX).map(([set]) => set);
  for (const set of forgotten) removals.delete(set);
  // Without the generation of its last removal, a set would seem to be unchanged since its health was recorded.
  for (const set of [...emptied, ...forgotten]) writer.deleteHealth(space, set);
  const next = { ...old, count: old.count - records.length, removals: Object.fromEntries(removals) };
  const bytes = records.flatMap(({ versions }) => versions).reduce((sum, { size }) => sum + size, 0);
  const ofUser = { names: old.names.filter((name) => !names.has(name)), bytes: old.bytes - bytes };
  writer.putPrincipal(space === SHARED_SPACE ? next : { ...next, ...ofUser });
  return emptied;
}

/** Updates the number of credentials of a space, and for a user's space the list of names and the bytes in use. */
function accountFor(writer: VaultWriter, space: Space, addedName: string | undefined, bytes: number): void {
  const old = writer.principal(space) ?? emptyPrincipal(space);
  const added = addedName === undefined ? [] : [addedName];
  const next = { ...old, count: old.count + added.length };
  if (space === SHARED_SPACE) {
    writer.putPrincipal(next);
    return;
  }
  const user = { ...next, names: [...old.names, ...added], bytes: old.bytes + bytes };
  if (bytes > 0) requireWithinQuota(user);
  writer.putPrincipal(user);
}
