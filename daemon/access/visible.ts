import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName } from '../../src/sets.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { CredentialRecord, GrantEntry, Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { Caller } from './caller.ts';
import { everyCredential } from './every-credential.ts';
import { grantsOf, mayRead } from './rules.ts';

/** Whose credentials are meant, of those that the caller may read. */
export interface Owners {
  /** One owner's only. */
  readonly only: Space | undefined;
  /** For an administrator: every user's, not just the shared ones. */
  readonly isEveryone: boolean;
}

export interface Visible extends Owners {
  /** Counts what could not be read. */
  readonly count: { damaged: number };
}

/** Tells whether the credentials of a space are meant. */
export function isMeant(caller: Caller, { only, isEveryone }: Owners, space: Space): boolean {
  if (only !== undefined) return space === only;
  return !caller.isAdministrator || isEveryone || space === SHARED_SPACE;
}

/**
 * Every credential that the caller may read. An administrator's list goes through the store; anybody else's through his
 * own names and what was granted to him, so that it takes no longer because of what others have.
 */
export async function* visibleCredentials(
  vault: Vault,
  caller: Caller,
  { count, ...owners }: Visible,
): AsyncGenerator<CredentialRecord> {
  if (!caller.isAdministrator) {
    const { names, granted } = vault.read((reader) => ({
      names: visibleNames(caller, reader),
      granted: grantLists(caller, reader),
    }));
    // Whoever takes them slowly is given nothing that was taken back meanwhile.
    const isStillGranted = (reader: VaultReader, space: Space, name: string): boolean =>
      grantLists(caller, reader).every((grants, index) => grants === granted[index]) ||
      mayRead(caller, reader, space, name);
    for (const { space, name } of names) {
      const record = countDamaged(count, () =>
        vault.read((reader) => (isStillGranted(reader, space, name) ? reader.credential(space, name) : undefined)),
      );
      if (record !== undefined && isMeant(caller, owners, space)) yield record;
    }
    return;
  }
  for await (const page of everyCredential(vault, caller.uid)) {
    count.damaged += page.damaged;
    yield* page.records.filter(({ space }) => isMeant(caller, owners, space));
  }
}

/** Each is another object after whatever changed it. */
function grantLists(caller: Caller, reader: VaultReader): (readonly GrantEntry[] | undefined)[] {
  return caller.principals().map((principal) => reader.principal(principal)?.grants);
}

function visibleNames(caller: Caller, reader: VaultReader): Iterable<{ readonly space: Space; readonly name: string }> {
  const names = new Map<string, { space: Space; name: string }>();
  const add = (space: Space, name: string): void => void names.set(`${space} ${name}`, { space, name });
  for (const name of reader.principal(caller.space)?.names ?? []) add(caller.space, name);
  for (const { space, kind, target } of grantsOf(caller, reader)) {
    if (kind === 'name') add(space, target);
    else for (const field of FIELD_IDS) add(space, memberName(target, field));
  }
  return names.values();
}
