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

/** Whose credentials are meant, of those that the caller may read. */
export interface Owners {
  /** One owner's only. */
  readonly only: Space | undefined;
  /** For an administrator: every user's, not just the shared ones. */
  readonly isEveryone: boolean;
}

export interface Visible extends Owners {
  /** Counts what could not be read, and has the head that was there when something was. */
  readonly count: { damaged: number; head?: Uint8Array | undefined };
}

/** Tells whether the credentials of a space are meant. */
export function isMeant(caller: Caller, { only, isEveryone }: Owners, space: Space): boolean {
  if (only !== undefined) return space === only;
  return !caller.isAdministrator || isEveryone || space === SHARED_SPACE;
}

/**
 * Every credential that the caller may read. An administrator's list goes through the store; anybody else's through his
 * own names and what was granted to him, so that it takes no longer because of what others have.
 *
 * @param slice of the task that this is part of: what is not there takes time as well
 */
export async function* visibleCredentials(
  vault: Vault,
  caller: Caller,
  { count, ...owners }: Visible,
  slice: TimeSlice,
): AsyncGenerator<CredentialRecord> {
  if (!caller.isAdministrator) {
    const { own, granted } = vault.read((reader) => ({
      own: reader.principal(caller.space)?.names ?? [],
      granted: grantLists(caller, reader),
    }));
    // Whoever takes them slowly is given nothing that was taken back meanwhile.
    const isStillGranted = (reader: VaultReader, space: Space, name: string): boolean =>
      grantLists(caller, reader).every((grants, index) => grants === granted[index]) ||
      mayRead(caller, reader, space, name);
    const given = new Set<string>();
    for (const { space, name } of visibleNames(caller.space, own, granted)) {
      await slice.pause();
      const place = `${space} ${name}`;
      if (!isMeant(caller, owners, space) || given.has(place)) continue;
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
  for await (const page of everyCredential(vault, caller.uid)) {
    count.damaged += page.damaged;
    count.head = vault.unlocked().headBody;
    yield* page.records.filter(({ space }) => isMeant(caller, owners, space));
  }
}

/** Each is another object after whatever changed it. */
function grantLists(caller: Caller, reader: VaultReader): (readonly GrantEntry[] | undefined)[] {
  return caller.principals().map((principal) => reader.principal(principal)?.grants);
}

/** Some more than once. One at a time: a set can have far more fields than it has, and a thousand callers may list at once. */
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
