import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { isUuid, parseName } from '../../src/names.ts';
import { canonicalSetName, membershipOf, providerOf } from '../../src/sets.ts';
import { TimeSlice } from '../time-slice.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { Caller } from './caller.ts';
import { everyCredential } from './every-credential.ts';
import { lookUpReadable, grantsOf, mayWrite, ownerOfSpace, spaceOfOwner } from './rules.ts';
import { uuidOfSet } from './set-uuid.ts';
import { findSet } from './set-view.ts';

/** What a caller means by NAME|SET|UUID: one credential, or all of a set that he may read. */
export type Target =
  | { readonly kind: 'name'; readonly space: Space; readonly name: string; readonly record: CredentialRecord }
  | {
      readonly kind: 'set';
      readonly space: Space;
      readonly name: string;
      readonly records: readonly CredentialRecord[];
    };

/** A name of a credential or set, and whose it is where that is known. */
export interface NamedTarget {
  readonly text: string;
  readonly owner: number | null | undefined;
  /** It was a UUID, and so is a set, whatever credential has its name. */
  readonly isSet: boolean;
  /** Tells of a UUID whether it is still one of the store's: who waits may wait for a restore, and find another store's sets. */
  readonly isCurrent?: () => boolean;
}

/**
 * The set that stands behind a UUID; every other text as it is. It goes through all credentials that the caller may
 * see, so it comes before a transaction and not in it.
 *
 * @throws CredentialError `NotFound`, `Locked`
 */
export async function resolveUuid(
  vault: Vault,
  caller: Caller,
  text: string,
  owner: number | null | undefined,
): Promise<NamedTarget> {
  if (!isUuid(text)) return { text, owner, isSet: false };
  const uuid = text.toLowerCase();
  const slice = new TimeSlice(vault.turns, caller.uid);
  for await (const { space, set } of visibleSets(vault, caller, owner)) {
    await slice.pause();
    const isCurrent = (): boolean => uuidOfSet(vault.storeId, space, set) === uuid;
    if (isCurrent()) return { text: set, owner: ownerOfSpace(space), isSet: true, isCurrent };
  }
  throw new CredentialError('NotFound', { name: uuid });
}

/** @throws CredentialError `Busy` where it was a UUID, and a copy of another store was restored since */
export function requireCurrent({ isCurrent }: Pick<NamedTarget, 'isCurrent'>): void {
  if (isCurrent?.() === false) throw new CredentialError('Busy', {});
}

/**
 * The credential of that name, else the set.
 *
 * @throws CredentialError `NotFound`, `InvalidName`; `Busy` where it was a UUID, and a copy of another store was restored since
 */
export function findTarget(caller: Caller, reader: VaultReader, named: NamedTarget): Target {
  const { text, owner, isSet } = named;
  requireCurrent(named);
  const name = parseName(text);
  const record = isSet ? undefined : lookUpReadable(caller, reader, name, owner);
  if (record !== undefined) return { kind: 'name', space: record.space, name, record };
  const setName = canonicalSetName(text);
  const set = setName === undefined ? undefined : findSet(caller, reader, setName, owner);
  if (set === undefined) throw new CredentialError('NotFound', { name });
  return { kind: 'set', space: set.space, name: set.set, records: [...set.members.values()] };
}

/**
 * The same for a target that is to be changed.
 *
 * @throws CredentialError `AccessDenied` where the caller may read it and no more
 */
export function findWritableTarget(caller: Caller, reader: VaultReader, named: NamedTarget): Target {
  const target = findTarget(caller, reader, named);
  if (!mayWrite(caller, target.space)) throw new CredentialError('AccessDenied', { name: target.name, right: 'write' });
  return target;
}

/** What a grant is of. */
export type GrantTarget = Pick<Target, 'kind' | 'space' | 'name'>;

/**
 * The same for a grant. What is not there yet may be waited for, by units alone, which read what the administrators keep:
 * it is the set of that name where its first word is a provider's, else the credential.
 *
 * @param isAwaited tells whether what is not there may be meant
 */
export function findGrantTarget(
  caller: Caller,
  reader: VaultReader,
  named: NamedTarget,
  isAwaited: (target: GrantTarget) => boolean,
): GrantTarget {
  try {
    return findWritableTarget(caller, reader, named);
  } catch (error) {
    if (!isCredentialError(error, 'NotFound')) throw error;
    const isShared = caller.isAdministrator && (named.owner ?? 0) === 0;
    const set = canonicalSetName(named.text);
    const isSet = set !== undefined && (named.isSet || providerOf(set, undefined) !== undefined);
    const target: GrantTarget = isSet
      ? { kind: 'set', space: SHARED_SPACE, name: set }
      : { kind: 'name', space: SHARED_SPACE, name: parseName(named.text) };
    if (!isShared || !isAwaited(target)) throw error;
    return target;
  }
}

/** The credentials of a target. */
export function recordsOf(target: Target): readonly CredentialRecord[] {
  return target.kind === 'name' ? [target.record] : target.records;
}

/** Every set of which the caller may read something; some more than once. */
async function* visibleSets(
  vault: Vault,
  caller: Caller,
  owner: number | null | undefined,
): AsyncGenerator<{ readonly space: Space; readonly set: string }> {
  if (!caller.isAdministrator) {
    yield* vault.read((reader) => {
      const own = (reader.principal(caller.space)?.names ?? []).map((name) => ({ space: caller.space, name }));
      const granted = grantsOf(caller, reader);
      const named = granted.filter(({ kind }) => kind === 'name').map(({ space, target: name }) => ({ space, name }));
      const sets = granted.filter(({ kind }) => kind === 'set').map(({ space, target: set }) => ({ space, set }));
      return [...[...own, ...named].flatMap(({ space, name }) => setOf(space, name)), ...sets];
    });
    return;
  }
  const wanted = owner === null || owner === undefined ? SHARED_SPACE : spaceOfOwner(owner);
  for await (const { records } of everyCredential(vault, caller.uid)) {
    yield* records.filter(({ space }) => space === wanted).flatMap(({ space, name }) => setOf(space, name));
  }
}

function setOf(space: Space, name: string): { readonly space: Space; readonly set: string }[] {
  const set = membershipOf(name)?.set;
  return set === undefined ? [] : [{ space, set }];
}
