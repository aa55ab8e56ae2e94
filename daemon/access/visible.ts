import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName } from '../../src/sets.ts';
import type { TimeSlice } from '../time-slice.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { CredentialRecord, GrantEntry, Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { Caller } from './caller.ts';
import { everyCredential } from './every-credential.ts';
import { mayRead } from './rules.ts';

/** Which owners' credentials are selected, of those that the caller may read. */
export interface OwnerFilter {
  /** Only the credentials of this space; undefined for no such limit. */
  readonly only: Space | undefined;
  /** For an administrator: every user's, not just the shared ones. */
  readonly isEveryone: boolean;
}

export interface VisibleOptions extends OwnerFilter {
  /** Counts the records that could not be read, and has the store's head at the time of the last read. */
  readonly count: { damaged: number; head?: Uint8Array | undefined };
}

/** Tells whether the credentials of a space are selected. */
export function isSelected(caller: Caller, { only, isEveryone }: OwnerFilter, space: Space): boolean {
  if (only !== undefined) return space === only;
  return !caller.isAdministrator || isEveryone || space === SHARED_SPACE;
}

/**
 * Yields every credential that the caller may read. For an administrator, it iterates over the store; for any other
 * user, over their own names and the grants to them, so that what others have makes it no slower.
 *
 * @param slice of the task that this is part of: credentials that do not exist take time as well
 */
export async function* visibleCredentials(
  vault: Vault,
  caller: Caller,
  { count, ...owners }: VisibleOptions,
  slice: TimeSlice,
): AsyncGenerator<CredentialRecord> {
  if (!caller.isAdministrator) {
    const { own, granted } = vault.read((reader) => ({
      own: reader.principal(caller.space)?.names ?? [],
      granted: grantLists(caller, reader),
    }));
    // A caller that reads slowly gets nothing of which the grant was revoked meanwhile.
    const isStillGranted = (reader: VaultReader, space: Space, name: string): boolean =>
      grantLists(caller, reader).every((grants, index) => grants === granted[index]) ||
      mayRead(caller, reader, space, name);
    const given = new Set<string>();
    for (const { space, name } of visibleNames(caller.space, own, granted)) {
      await slice.pause();
      const place = `${space} ${name}`;
      if (!isSelected(caller, owners, space) || given.has(place)) continue;
      const { damaged } = count;
      const record = countDamaged(count, () =>
        vault.read((reader) => (isStillGranted(reader, space, name) ? reader.credential(space, name) : undefined)),
      );
      count.head = vault.unlocked().headBody;
      if (record !== undefined || count.damaged > damaged) given.add(place);
      if (record !== undefined) yield record;
    }
    return;
  }
  for await (const page of everyCredential(vault, slice)) {
    count.damaged += page.damaged;
    count.head = vault.unlocked().headBody;
    yield* page.records.filter(({ space }) => isSelected(caller, owners, space));
  }
}

/** Returns the grants of each principal of the caller. A list that has changed is a different object. */
export function grantLists(caller: Caller, reader: VaultReader): (readonly GrantEntry[] | undefined)[] {
  return caller.principals().map((principal) => reader.principal(principal)?.grants);
}

/**
 * Yields the names to look up, some more than once. It makes no list of them: each granted set has a name for every
 * possible field, and a thousand callers may list at once.
 */
function* visibleNames(
  ownSpace: Space,
  own: readonly string[],
  granted: readonly (readonly GrantEntry[] | undefined)[],
): Generator<{ readonly space: Space; readonly name: string }> {
  for (const name of own) yield { space: ownSpace, name };
  for (const grants of granted) {
    for (const { space, kind, target } of grants ?? []) {
      if (kind === 'name') yield { space, name: target };
      else for (const field of FIELD_IDS) yield { space, name: memberName(target, field) };
    }
  }
}
