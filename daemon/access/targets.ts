import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { isUuid, parseName } from '../../src/names.ts';
import { canonicalSetName, membershipOf, providerOf } from '../../src/sets.ts';
import { NEVER } from '../emitter.ts';
import type { Subscribe } from '../emitter.ts';
import type { TimeSlice } from '../time-slice.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { Caller } from './caller.ts';
import { everyCredential } from './every-credential.ts';
import { lookUpReadable, mayWrite, ownerOfSpace, spaceOfOwner } from './rules.ts';
import { uuidOfSet } from './set-uuid.ts';
import { findSet } from './set-view.ts';
import { grantLists } from './visible.ts';

/** What a caller means by NAME|SET|UUID: one credential, or all credentials of a set that the caller may read. */
export type Target =
  | { readonly kind: 'name'; readonly space: Space; readonly name: string; readonly record: CredentialRecord }
  | {
      readonly kind: 'set';
      readonly space: Space;
      readonly name: string;
      readonly records: readonly CredentialRecord[];
    };

/** A name of a credential or set, and its owner if known. */
export interface NamedTarget {
  readonly text: string;
  readonly owner: number | null | undefined;
  /** It was given as a UUID, so it is a set, even if a credential has the same name. */
  readonly isSet: boolean;
  /**
   * Tells whether a UUID is still one of this store: while a call waits, a restore may bring the sets of another store.
   */
  readonly isCurrent?: () => boolean;
}

/**
 * Returns the set that a UUID stands for, and any other text unchanged. It iterates over all credentials that the
 * caller may see, so it is called before a transaction and not in it.
 *
 * @param onGone ends the search when the caller has left; not for a call that changes something, which is made all the
 *   same
 * @throws CredentialError `NotFound`, `Locked`; `Busy` if too many searches of this user wait, or the caller has left
 */
export async function resolveUuid(
  vault: Vault,
  caller: Caller,
  text: string,
  owner: number | null | undefined,
  onGone: Subscribe = NEVER,
): Promise<NamedTarget> {
  if (!isUuid(text)) return { text, owner, isSet: false };
  const uuid = text.toLowerCase();
  return requireFound(uuid, await findSetsOf(vault, caller, new Set([uuid]), owner, onGone));
}

/** Like {@link resolveUuid}, for many texts: iterates only once. */
export async function resolveUuids(
  vault: Vault,
  caller: Caller,
  texts: readonly string[],
  owner: number | null | undefined,
): Promise<NamedTarget[]> {
  const uuids = new Set(texts.filter(isUuid).map((text) => text.toLowerCase()));
  const found =
    uuids.size === 0 ? new Map<string, NamedTarget>() : await findSetsOf(vault, caller, uuids, owner, NEVER);
  return texts.map((text) => (isUuid(text) ? requireFound(text.toLowerCase(), found) : { text, owner, isSet: false }));
}

/** Returns the sets with these UUIDs, by UUID, as far as there are any. */
async function findSetsOf(
  vault: Vault,
  caller: Caller,
  uuids: ReadonlySet<string>,
  owner: number | null | undefined,
  onGone: Subscribe,
): Promise<Map<string, NamedTarget>> {
  using slice = await vault.searches.begin(caller.uid, onGone);
  const found = new Map<string, NamedTarget>();
  for await (const { space, set } of visibleSets(vault, caller, owner, slice)) {
    await slice.pause();
    const uuid = uuidOfSet(vault.storeId, space, set);
    if (!uuids.has(uuid)) continue;
    const isCurrent = (): boolean => uuidOfSet(vault.storeId, space, set) === uuid;
    found.set(uuid, { text: set, owner: ownerOfSpace(space), isSet: true, isCurrent });
    if (found.size === uuids.size) break;
  }
  return found;
}

function requireFound(uuid: string, found: ReadonlyMap<string, NamedTarget>): NamedTarget {
  const named = found.get(uuid);
  if (named === undefined) throw new CredentialError('NotFound', { name: uuid });
  return named;
}

/** @throws CredentialError `Busy` if the target was a UUID, and a copy of another store was restored since */
export function requireCurrent({ isCurrent }: Pick<NamedTarget, 'isCurrent'>): void {
  if (isCurrent?.() === false) throw new CredentialError('Busy', {});
}

/**
 * Finds the credential of that name, else the set.
 *
 * @throws CredentialError `NotFound`, `InvalidName`; `Busy` if it was a UUID, and a copy of another store was restored
 *   since
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
 * Like {@link findTarget}, for a target that is to be changed.
 *
 * @throws CredentialError `AccessDenied` if the caller may only read it
 */
export function findWritableTarget(caller: Caller, reader: VaultReader, named: NamedTarget): Target {
  const target = findTarget(caller, reader, named);
  if (!mayWrite(caller, target.space)) throw new CredentialError('AccessDenied', { name: target.name, right: 'write' });
  return target;
}

/** The target of a grant. */
export type GrantTarget = Pick<Target, 'kind' | 'space' | 'name'>;

/**
 * Like {@link findWritableTarget}, for a grant. The target may be missing if units are to wait for it. Units read only
 * the shared space, so a missing target is there: the set of that name if its first word is a provider's, else the
 * credential.
 *
 * @param isAwaited tells whether the grant may be of this missing target
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

/** Returns the credentials of a target. */
export function recordsOf(target: Target): readonly CredentialRecord[] {
  return target.kind === 'name' ? [target.record] : target.records;
}

/** Yields every set of which the caller may read something, some more than once. It makes no list of them. */
async function* visibleSets(
  vault: Vault,
  caller: Caller,
  owner: number | null | undefined,
  slice: TimeSlice,
): AsyncGenerator<{ readonly space: Space; readonly set: string }> {
  if (!caller.isAdministrator) {
    const { own, granted } = vault.read((reader) => ({
      own: reader.principal(caller.space)?.names ?? [],
      granted: grantLists(caller, reader),
    }));
    for (const name of own) {
      await slice.pause();
      yield* setOf(caller.space, name);
    }
    for (const grants of granted) {
      for (const { space, kind, target } of grants ?? []) {
        await slice.pause();
        if (kind === 'set') yield { space, set: target };
        else yield* setOf(space, target);
      }
    }
    return;
  }
  const wanted = owner === null || owner === undefined ? SHARED_SPACE : spaceOfOwner(owner);
  for await (const { records } of everyCredential(vault, slice)) {
    yield* records.filter(({ space }) => space === wanted).flatMap(({ space, name }) => setOf(space, name));
  }
}

function setOf(space: Space, name: string): { readonly space: Space; readonly set: string }[] {
  const set = membershipOf(name)?.set;
  return set === undefined ? [] : [{ space, set }];
}
