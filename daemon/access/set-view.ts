import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, missingOf, providerOf } from '../../src/sets.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion, removalOf } from '../vault/records.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import { mayRead, mayReadSet, spacesToRead } from './rules.ts';
import type { Caller, Subject } from './caller.ts';

/** A set as one caller sees it: the fields that the caller may read, all from one commit. */
export interface SetView {
  readonly set: string;
  readonly space: Space;
  readonly provider: Provider | undefined;
  /** By field id; never empty. */
  readonly members: ReadonlyMap<string, CredentialRecord>;
  readonly missing: readonly string[];
  readonly generation: number;
  readonly changed: number;
}

/** Returns the set that the caller means by a name; undefined if the caller may read none of its fields. */
export function findSet(
  caller: Caller,
  reader: VaultReader,
  set: string,
  owner: number | null | undefined,
): SetView | undefined {
  for (const space of spacesToRead(caller, owner)) {
    const view = viewSet(caller, reader, space, set);
    if (view !== undefined) return view;
  }
  return undefined;
}

/**
 * Returns the set in one space; undefined if the caller may read none of its fields there.
 *
 * @param fields those that it can have, if known
 */
export function viewSet(
  caller: Subject,
  reader: VaultReader,
  space: Space,
  set: string,
  fields?: readonly string[],
): SetView | undefined {
  const members = readableMembers(caller, reader, space, set, fields);
  if (members.size === 0) return undefined;
  const current = [...members.values()].map(currentVersion);
  const provider = providerOf(set, readText(reader, members.get('provider')));
  return {
    set,
    space,
    provider,
    members,
    missing: missingOf(provider, new Set(members.keys()), readText(reader, members.get('use_iam'))),
    generation: Math.max(removalOf(reader.principal(space), set), ...current.map(({ generation }) => generation)),
    changed: Math.max(...current.map(({ changed }) => changed)),
  };
}

/**
 * Returns the credentials of a set that the caller may read, by field id. Others are not looked for.
 *
 * @param fields those that it can have, if known
 */
export function readableMembers(
  caller: Subject,
  reader: VaultReader,
  space: Space,
  set: string,
  fields?: readonly string[],
): ReadonlyMap<string, CredentialRecord> {
  if (fields === undefined && mayReadSet(caller, reader, space, set)) return reader.setMembers(space, set);
  const members = new Map<string, CredentialRecord>();
  for (const field of fields ?? FIELD_IDS) {
    const name = memberName(set, field);
    const record = mayRead(caller, reader, space, name) ? reader.credential(space, name) : undefined;
    if (record !== undefined) members.set(field, record);
  }
  return members;
}

/** All of a set, whoever may read it. */
export interface WholeSet {
  /** Generation of its last change; 0 if the set has no fields. */
  readonly generation: number;
  /** How many fields it has. */
  readonly size: number;
}

/** @throws CredentialError `Damaged` */
export function wholeSet(reader: VaultReader, space: Space, set: string): WholeSet {
  const records = [...reader.setMembers(space, set).values()];
  if (records.length === 0) return { generation: 0, size: 0 };
  const removed = removalOf(reader.principal(space), set);
  const generation = Math.max(removed, ...records.map((record) => currentVersion(record).generation));
  return { generation, size: records.length };
}

/** Returns the current value of a field that is not secret, as text. */
export function readText(reader: VaultReader, record: CredentialRecord | undefined): string | undefined {
  return record === undefined
    ? undefined
    : Buffer.from(reader.value(record, currentVersion(record).version)).toString();
}
