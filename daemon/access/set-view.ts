import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, missingOf, providerOf } from '../../src/sets.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion, removalOf } from '../vault/records.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import { mayRead, mayReadSet, spacesToRead } from './rules.ts';
import type { Caller, Subject } from './caller.ts';

/** A set as one caller sees it: the fields that he may read, all from one commit. */
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

/** The set of that name that the caller means; undefined where he may read none of its fields. */
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
 * The set in one space; undefined where the caller may read none of its fields there.
 *
 * @param fields those that it can have, where that is known
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
 * What the caller may read of a set, by field id: what he may not is not looked for.
 *
 * @param fields those that it can have, where that is known
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

/** A set as it is, whoever may read what of it. */
export interface WholeSet {
  /** Of its last change; 0 where nothing of it is there. */
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

/** A value that is no secret, as text. */
export function readText(reader: VaultReader, record: CredentialRecord | undefined): string | undefined {
  return record === undefined
    ? undefined
    : Buffer.from(reader.value(record, currentVersion(record).version)).toString();
}
