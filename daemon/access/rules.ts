import { CredentialError } from '../../src/errors.ts';
import { membershipOf } from '../../src/sets.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { CredentialRecord, GrantEntry, Space } from '../vault/records.ts';
import type { Caller, Subject } from './caller.ts';
import { checkedId } from './checked-id.ts';

/**
 * The rules of access. A caller who may not read a credential is told that it does not exist. Neither the store nor the
 * list of its grantees is even asked for it, so that the time of the answer reveals nothing either.
 */

/**
 * Returns the space of an owner, whom a call names by uid: 0 is the space that all administrators share.
 *
 * @throws CredentialError `InvalidName` if the number is not a uid
 */
export function spaceOfOwner(owner: number): Space {
  return owner === 0 ? SHARED_SPACE : `uid:${checkedId(owner)}`;
}

/** Returns the uid that stands for a space on the wire. */
export function ownerOfSpace(space: Space): number {
  return space === SHARED_SPACE ? 0 : Number(space.slice('uid:'.length));
}

export function mayWrite(caller: Subject, space: Space): boolean {
  return caller.isAdministrator || caller.space === space;
}

export function mayRead(caller: Subject, reader: VaultReader, space: Space, name: string): boolean {
  if (mayWrite(caller, space)) return true;
  const set = membershipOf(name)?.set;
  return (
    wasGranted(caller, reader, space, 'name', name) ||
    (set !== undefined && wasGranted(caller, reader, space, 'set', set))
  );
}

/** Tells whether the caller may read every field of a set, including fields that do not exist yet. */
export function mayReadSet(caller: Subject, reader: VaultReader, space: Space, set: string): boolean {
  return mayWrite(caller, space) || wasGranted(caller, reader, space, 'set', set);
}

function wasGranted(
  caller: Subject,
  reader: VaultReader,
  space: Space,
  kind: GrantEntry['kind'],
  target: string,
): boolean {
  return reader.isGranted(caller.principals(), { space, kind, target });
}

/** Returns all grants to the caller. */
export function grantsOf(caller: Subject, reader: VaultReader): GrantEntry[] {
  return caller.principals().flatMap((principal) => reader.principal(principal)?.grants ?? []);
}

/** Tells whether a grant lets its principal read this credential. */
export function covers(grant: GrantEntry, space: Space, name: string): boolean {
  if (grant.space !== space) return false;
  return grant.kind === 'name' ? grant.target === name : membershipOf(name)?.set === grant.target;
}

/**
 * Returns the space in which a call writes.
 *
 * @throws CredentialError `AccessDenied` if the caller names an owner whose credentials the caller may not change
 */
export function spaceToWrite(caller: Caller, owner: number | null | undefined): Space {
  const space = owner === null || owner === undefined ? caller.space : spaceOfOwner(owner);
  if (!mayWrite(caller, space)) throw new CredentialError('AccessDenied', { right: 'write' });
  return space;
}

/**
 * Returns the spaces that a reading call searches, in order: the owner's if one is named, else the caller's own, then
 * the shared one. Never another user's, so that no user can shadow the credentials of another by granting their own.
 */
export function spacesToRead(caller: Caller, owner: number | null | undefined): Space[] {
  if (owner !== null && owner !== undefined) return [spaceOfOwner(owner)];
  return caller.isAdministrator ? [SHARED_SPACE] : [caller.space, SHARED_SPACE];
}

/** Returns the credential that a caller means by a name; undefined if there is none that the caller may read. */
export function lookUpReadable(
  caller: Caller,
  reader: VaultReader,
  name: string,
  owner: number | null | undefined,
): CredentialRecord | undefined {
  for (const space of spacesToRead(caller, owner)) {
    const record = mayRead(caller, reader, space, name) ? reader.credential(space, name) : undefined;
    if (record !== undefined) return record;
  }
  return undefined;
}

/**
 * Returns the credential that a caller means by a name.
 *
 * @throws CredentialError `NotFound` if there is none that the caller may read
 */
export function findReadable(
  caller: Caller,
  reader: VaultReader,
  name: string,
  owner: number | null | undefined,
): CredentialRecord {
  const record = lookUpReadable(caller, reader, name, owner);
  if (record === undefined) throw new CredentialError('NotFound', { name });
  return record;
}

/**
 * Returns the credential that a caller means to change.
 *
 * @throws CredentialError `NotFound`; `AccessDenied` if the caller may only read it
 */
export function findWritable(
  caller: Caller,
  reader: VaultReader,
  name: string,
  owner: number | null | undefined,
): CredentialRecord {
  const record = findReadable(caller, reader, name, owner);
  if (!mayWrite(caller, record.space)) throw new CredentialError('AccessDenied', { name, right: 'write' });
  return record;
}

/** @throws CredentialError `AccessDenied` */
export function requireAdministrator(caller: Caller): void {
  if (!caller.isAdministrator) throw new CredentialError('AccessDenied', { right: 'administer' });
}
