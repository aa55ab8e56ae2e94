import { CredentialError } from '../../src/errors.ts';
import { ITEMS_PER_CALL_MAX } from '../../src/limits.ts';
import type { Grantee } from '../../src/protocol/interface.generated.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName } from '../../src/sets.ts';
import { isUnitName } from '../../src/units.ts';
import { grantKey } from '../vault/grant-index.ts';
import { exists } from '../vault/reader.ts';
import { emptyPrincipal } from '../vault/records.ts';
import type { GrantEntry, PrincipalId, Space } from '../vault/records.ts';
import type { VaultWriter } from '../vault/transaction.ts';
import { checkedId } from './checked-id.ts';

/** The terms of a grant, besides its grantee and its target. */
export type GrantTerms = Pick<GrantEntry, 'missing'>;

/**
 * Returns the principals that the grantees of a call name, each once, with the terms of its grant.
 *
 * @throws CredentialError `InvalidName` if a grantee names none, or more than one; `TooLarge`
 */
export function principalsOf(grantees: readonly Grantee[]): Map<PrincipalId, GrantTerms> {
  if (grantees.length > ITEMS_PER_CALL_MAX) throw new CredentialError('TooLarge', { limit: ITEMS_PER_CALL_MAX });
  if (grantees.length === 0) throw new CredentialError('InvalidName', { name: '', reason: 'no grantee is given' });
  return new Map(grantees.map((grantee) => [principalOf(grantee), termsOf(grantee)]));
}

/** Returns the wire form of a grantee and of the terms of its grant. */
export function granteeOf(principal: PrincipalId, { missing }: GrantTerms): Grantee {
  const [kind, id] = splitPrincipal(principal);
  switch (kind) {
    case 'unit':
      return { unit: id, ...(missing === undefined ? {} : { missing }) };
    case 'gid':
      return { gid: Number(id) };
    default:
      return { uid: Number(id) };
  }
}

/** Orders principals: users, then groups, each by number, then units by name. */
export function comparePrincipals(a: PrincipalId, b: PrincipalId): number {
  const [[kindA, idA], [kindB, idB]] = [splitPrincipal(a), splitPrincipal(b)];
  if (kindA !== kindB) return KIND_ORDER.indexOf(kindA) - KIND_ORDER.indexOf(kindB);
  if (kindA !== 'unit') return Number(idA) - Number(idB);
  return idA < idB ? -1 : idA > idB ? 1 : 0;
}

const KIND_ORDER: readonly string[] = ['uid', 'gid', 'unit'];

/**
 * Removes the grants of credentials that were removed, and of sets of which nothing is left, so that a new credential
 * of an old name starts without grants.
 */
export function dropGrantsOf(
  writer: VaultWriter,
  space: Space,
  names: readonly string[],
  sets: readonly string[],
): void {
  const gone = [
    ...names.map((target) => ({ space, kind: 'name', target }) as const),
    ...sets.map((target) => ({ space, kind: 'set', target }) as const),
  ];
  const keys = new Set(gone.map(grantKey));
  const grantees = new Set(gone.flatMap(({ kind, target }) => [...writer.grantees(space, kind, target).keys()]));
  // One pass over the grants of each grantee: that list may be long, and so may the list of what was removed.
  for (const id of grantees) {
    const principal = writer.principal(id) ?? emptyPrincipal(id);
    writer.putPrincipal({ ...principal, grants: principal.grants.filter((grant) => !keys.has(grantKey(grant))) });
  }
}

/**
 * Removes the grants of credentials and sets that do not exist, however they were lost, except grants that let a unit
 * wait for them.
 */
export function dropDanglingGrants(writer: VaultWriter): void {
  for (const principal of writer.principals()) {
    const grants = principal.grants.filter(({ space, kind, target, missing }) => {
      if (missing === 'block') return true;
      const names = kind === 'name' ? [target] : FIELD_IDS.map((field) => memberName(target, field));
      return names.some((name) => exists(writer, space, name));
    });
    if (grants.length < principal.grants.length) writer.putPrincipal({ ...principal, grants });
  }
}

function termsOf({ unit, missing }: Grantee): GrantTerms {
  if (missing === null || missing === undefined) return {};
  if (typeof unit !== 'string') {
    throw new CredentialError('InvalidName', { name: '', reason: 'only a unit can wait for what is missing' });
  }
  return missing === 'block' ? { missing } : {};
}

function splitPrincipal(principal: PrincipalId): [kind: string, id: string] {
  const separator = principal.indexOf(':');
  return [principal.slice(0, separator), principal.slice(separator + 1)];
}

function principalOf({ unit, uid, gid }: Grantee): PrincipalId {
  const given: PrincipalId[] = [];
  if (typeof unit === 'string') {
    if (!isUnitName(unit))
      throw new CredentialError('InvalidName', { name: '', reason: 'the unit has no valid unit name' });
    given.push(`unit:${unit}`);
  }
  if (typeof uid === 'number') given.push(`uid:${checkedId(uid)}`);
  if (typeof gid === 'number') given.push(`gid:${checkedId(gid)}`);
  const [principal] = given;
  if (principal === undefined || given.length > 1) {
    throw new CredentialError('InvalidName', { name: '', reason: 'a grantee is exactly one of unit, uid and gid' });
  }
  return principal;
}
