import { VERSIONS_KEPT } from '../../src/limits.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, membershipOf } from '../../src/sets.ts';
import { requireWithinQuota } from '../access/quota.ts';
import { SHARED_SPACE, currentVersion, emptyPrincipal } from '../vault/records.ts';
import type { CredentialRecord, PrincipalRecord, Space, VersionEntry } from '../vault/records.ts';
import { isThere } from '../vault/reader.ts';
import { PublicRandom } from '../vault/public-random.ts';
import type { VaultWriter } from '../vault/transaction.ts';

const CREDENTIAL_ID_BYTES = 16;
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
 * @throws CredentialError `TooLarge` where a user's quota is used up
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
  writer.putCredential(record);
  writer.putValue(record, version, value);
  accountFor(writer, space, {
    addedName: existing === undefined ? name : undefined,
    bytes: value.length - dropped.reduce((sum, old) => sum + old.size, 0),
  });
  return version;
}

/** Drops a credential with all its versions. */
export function removeCredential(writer: VaultWriter, record: CredentialRecord): void {
  writer.generation(record.space);
  writer.deleteCredential(record);
  accountFor(writer, record.space, {
    removedName: record.name,
    bytes: -record.versions.reduce((sum, { size }) => sum + size, 0),
  });
}

/** Keeps the count of a space, and of a user's space its list of names and its use of the disk. */
function accountFor(
  writer: VaultWriter,
  space: Space,
  change: { readonly addedName?: string | undefined; readonly removedName?: string; readonly bytes: number },
): void {
  const { addedName, removedName, bytes } = change;
  const old = writer.principal(space) ?? emptyPrincipal(space);
  const count = old.count + (addedName === undefined ? 0 : 1) - (removedName === undefined ? 0 : 1);
  const next = {
    ...old,
    count,
    ...(removedName === undefined ? {} : { removals: removalsAfter(writer, old, removedName) }),
  };
  if (space === SHARED_SPACE) {
    writer.putPrincipal(next);
    return;
  }
  const names = removedName === undefined ? [...old.names] : old.names.filter((name) => name !== removedName);
  if (addedName !== undefined) names.push(addedName);
  const user = { ...next, names, bytes: old.bytes + bytes };
  if (bytes > 0) requireWithinQuota(user);
  writer.putPrincipal(user);
}

/** A set remembers that something of it was removed, as long as there is something else of it; its health goes with it. */
function removalsAfter(
  writer: VaultWriter,
  { principal, generation, removals = {} }: PrincipalRecord,
  removedName: string,
): Readonly<Record<string, number>> {
  const set = membershipOf(removedName)?.set;
  if (set === undefined) return removals;
  const { [set]: _, ...others } = removals;
  const isLeft = FIELD_IDS.some((field) => isThere(writer, principal as Space, memberName(set, field)));
  if (isLeft) return { ...others, [set]: generation };
  writer.deleteHealth(principal as Space, set);
  return others;
}
