import { CredentialError } from '../../src/errors.ts';
import { membershipOf } from '../../src/sets.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { CredentialRecord, GrantEntry, Space } from '../vault/records.ts';
import type { Caller, Subject } from './caller.ts';
import { checkedId } from './checked-id.ts';

/**
 * Who may do what. Whoever may not read a credential is told that it does not exist, and the store is not even asked for
 * it, so that the time of the answer tells nothing either.
 */

/**
 * Whose credentials a call means: the space of an owner's uid, 0 for the one that all administrators share.
 *
 * @throws CredentialError `InvalidName` where the number is no uid
 */
export function spaceOfOwner(owner: number): Space {
  return owner === 0 ? SHARED_SPACE : `uid:${checkedId(owner)}`;
}

/** The uid that stands for a space on the wire. */
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

/** Tells whether he may read every field of a set, those that may come included. */
export function mayReadSet(caller: Subject, reader: VaultReader, space: Space, set: string): boolean {
  return mayWrite(caller, space) || wasGranted(caller, reader, space, 'set', set);
}

/** From the side of what was granted: of one caller, others may have granted thousands. */
function wasGranted(
  caller: Subject,
  reader: VaultReader,
  space: Space,
  kind: GrantEntry['kind'],
  target: string,
): boolean {
  const grantees = reader.grantees(space, kind, target);
  return caller.principals().some((principal) => grantees.has(principal));
}

/** Everything that was granted to the caller. */
export function grantsOf(caller: Subject, reader: VaultReader): GrantEntry[] {
  return caller.principals().flatMap((principal) => reader.principal(principal)?.grants ?? []);
}

/** Tells whether a grant lets its principal read this credential. */
export function covers(grant: GrantEntry, space: Space, name: string): boolean {
  if (grant.space !== space) return false;
  return grant.kind === 'name' ? grant.target === name : membershipOf(name)?.set === grant.target;
}

/**
 * The space in which a call writes.
 *
 * @throws CredentialError `AccessDenied` where the caller named an owner whose credentials are not his to change
 */
export function spaceToWrite(caller: Caller, owner: number | null | undefined): Space {
  const space = owner === null || owner === undefined ? caller.space : spaceOfOwner(owner);
  if (!mayWrite(caller, space)) throw new CredentialError('AccessDenied', { right: 'write' });
  return space;
}

/**
 * The spaces in which a call looks for what it reads, in order: the owner's where one was named, else the caller's own,
 * then the shared one. Nobody else's, so that no user can put his own values in the way of another's by granting them.
 */
export function spacesToRead(caller: Caller, owner: number | null | undefined): Space[] {
  if (owner !== null && owner !== undefined) return [spaceOfOwner(owner)];
  return caller.isAdministrator ? [SHARED_SPACE] : [caller.space, SHARED_SPACE];
}

/** The credential that a caller means by a name; undefined where there is none that he may read. */
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
 * The same.
 *
 * @throws CredentialError `NotFound` where there is none that he may read
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
 * The credential that a caller means to change.
 *
 * @throws CredentialError `NotFound`; `AccessDenied` where he may read it and no more
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
