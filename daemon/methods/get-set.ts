import { CredentialError } from '../../src/errors.ts';
import { parseName } from '../../src/names.ts';
import type { SetMember } from '../../src/protocol/interface.generated.ts';
import { canonicalSetName } from '../../src/sets.ts';
import { ownerOfSpace } from '../access/rules.ts';
import { findSet } from '../access/set-view.ts';
import { uuidOfSet } from '../access/set-uuid.ts';
import { resolveUuid } from '../access/targets.ts';
import { currentVersion } from '../vault/records.ts';
import { wipe } from '../vault/sodium.ts';
import type { Method } from './context.ts';
import { toWire } from './wire-value.ts';

/** Reads all fields of a set that the caller may read, as one commit left them. */
export const getSet: Method<'GetSet'> = async ({ vault }, caller, parameters) => {
  const { text, owner } = await resolveUuid(vault, caller, parameters.set, parameters.owner);
  return vault.read((reader) => {
    const name = canonicalSetName(parseName(text));
    const view = name === undefined ? undefined : findSet(caller, reader, name, owner);
    if (view === undefined) throw new CredentialError('NotFound', { name: name ?? text });
    if (view.missing.length > 0 && parameters.allowIncomplete !== true) {
      throw new CredentialError('Incomplete', { set: view.set, missing: view.missing });
    }
    const members: SetMember[] = [...view.members].map(([field, record]) => {
      const { version } = currentVersion(record);
      const value = reader.value(record, version);
      const member = { name: record.name, field, ...toWire(value), version };
      wipe(value);
      return member;
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
};
