import { CredentialError } from '../../src/errors.ts';
import { isUuid, parseName } from '../../src/names.ts';
import type { Methods, SetMember } from '../../src/protocol/interface.generated.ts';
import { canonicalSetName } from '../../src/sets.ts';
import type { Caller } from '../access/caller.ts';
import { ownerOfSpace } from '../access/rules.ts';
import { findSet } from '../access/set-view.ts';
import { uuidOfSet } from '../access/set-uuid.ts';
import { resolveUuid } from '../access/targets.ts';
import type { NamedTarget } from '../access/targets.ts';
import { currentVersion } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { Method } from './context.ts';
import { readInTurn } from './read-in-turn.ts';
import { toWire } from './wire-value.ts';

/** Reads all fields of a set that the caller may read, as one commit left them. */
export const getSet: Method<'GetSet'> = ({ vault }, caller, parameters) => {
  const { set, owner, allowIncomplete } = parameters;
  if (!isUuid(set)) return readSet(vault, caller, { text: set, owner }, allowIncomplete === true);
  return resolveUuid(vault, caller, set, owner).then((named) =>
    readSet(vault, caller, named, allowIncomplete === true),
  );
};

function readSet(
  vault: Vault,
  caller: Caller,
  { text, owner }: Pick<NamedTarget, 'text' | 'owner'>,
  allowIncomplete: boolean,
): Methods['GetSet']['out'] | Promise<Methods['GetSet']['out']> {
  return readInTurn(vault, (reader, bytesMax) => {
    const name = canonicalSetName(parseName(text));
    const view = name === undefined ? undefined : findSet(caller, reader, name, owner);
    if (view === undefined) throw new CredentialError('NotFound', { name: name ?? text });
    if (view.missing.length > 0 && !allowIncomplete) {
      throw new CredentialError('Incomplete', { set: view.set, missing: view.missing });
    }
    const bytes = [...view.members.values()].reduce((sum, record) => sum + currentVersion(record).size, 0);
    if (bytes > bytesMax) return undefined;
    const members: SetMember[] = [...view.members].map(([field, record]) => {
      const { version } = currentVersion(record);
      return { name: record.name, field, ...reader.valueFor(record, version, toWire), version };
    });
    return {
      set: view.set,
      uuid: uuidOfSet(vault.storeId, view.space, view.set),
      owner: ownerOfSpace(view.space),
      generation: view.generation,
      ready: view.missing.length === 0,
      missing: view.missing,
      members,
      ...(view.provider === undefined ? {} : { provider: view.provider.id }),
    };
  });
}
