import { CredentialError } from '../../src/errors.ts';
import { isUuid, parseName } from '../../src/names.ts';
import type { Methods, SetMember } from '../../src/protocol/interface.generated.ts';
import { canonicalSetName } from '../../src/sets.ts';
import type { Caller } from '../access/caller.ts';
import { ownerOfSpace } from '../access/rules.ts';
import { findSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import { uuidOfSet } from '../access/set-uuid.ts';
import { requireCurrent, resolveUuid } from '../access/targets.ts';
import type { NamedTarget } from '../access/targets.ts';
import { currentVersion } from '../vault/records.ts';
import type { VaultReader } from '../vault/reader.ts';
import type { Vault } from '../vault/vault.ts';
import type { Method } from './context.ts';
import { readInTurn } from './read-in-turn.ts';
import { toWire } from './wire-value.ts';

type Named = Pick<NamedTarget, 'text' | 'owner' | 'isCurrent'>;
type SetReply = Methods['GetSet']['out'];

/** Reads all fields of a set that the caller may read, as one commit left them. */
export const getSet: Method<'GetSet'> = ({ vault }, caller, parameters, onGone) => {
  const { set, allowIncomplete } = parameters;
  const read = (named: Named): SetReply | Promise<SetReply> =>
    readInTurn(vault, caller, onGone, (reader, bytesMax) => {
      requireCurrent(named);
      const view = requireSet(caller, reader, named, allowIncomplete === true);
      const bytes = [...view.members.values()].reduce((sum, record) => sum + currentVersion(record).size, 0);
      return bytes > bytesMax ? undefined : toReply(vault, reader, view);
    });
  return isUuid(set)
    ? resolveUuid(vault, caller, set, parameters.owner, onGone).then(read)
    : read({ text: set, owner: parameters.owner });
};

function requireSet(caller: Caller, reader: VaultReader, { text, owner }: Named, allowIncomplete: boolean): SetView {
  const name = canonicalSetName(parseName(text));
  const view = name === undefined ? undefined : findSet(caller, reader, name, owner);
  if (view === undefined) throw new CredentialError('NotFound', { name: name ?? text });
  if (view.missing.length > 0 && !allowIncomplete) {
    throw new CredentialError('Incomplete', { set: view.set, missing: view.missing });
  }
  return view;
}

function toReply({ storeId }: Vault, reader: VaultReader, view: SetView): SetReply {
  const members: SetMember[] = [...view.members].map(([field, record]) => {
    const { version } = currentVersion(record);
    return { name: record.name, field, ...reader.valueFor(record, version, toWire), version };
  });
  return {
    set: view.set,
    uuid: uuidOfSet(storeId, view.space, view.set),
    owner: ownerOfSpace(view.space),
    generation: view.generation,
    ready: view.missing.length === 0,
    missing: view.missing,
    members,
    ...(view.provider === undefined ? {} : { provider: view.provider.id }),
  };
}
