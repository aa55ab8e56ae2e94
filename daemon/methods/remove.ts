import { CredentialError } from '../../src/errors.ts';
import { ITEMS_PER_CALL_MAX } from '../../src/limits.ts';
import { dropGrantsOf } from '../access/grants.ts';
import { findWritableTarget, recordsOf, resolveUuids } from '../access/targets.ts';
import type { Method } from './context.ts';
import { requireGeneration } from './require-generation.ts';
import { removeCredentials } from './save-version.ts';

/** Removes credentials and whole sets for good, with all of their versions and grants. */
export const remove: Method<'Remove'> = async ({ vault }, caller, parameters) => {
  if (parameters.names.length > ITEMS_PER_CALL_MAX)
    throw new CredentialError('TooLarge', { limit: ITEMS_PER_CALL_MAX });
  if (parameters.names.length === 0) throw new CredentialError('InvalidName', { name: '', reason: 'no name is given' });
  const named = await resolveUuids(vault, caller, parameters.names, parameters.owner);
  return vault.write((writer) => {
    const targets = named.map((one) => findWritableTarget(caller, writer, one));
    const all = [...new Map(targets.flatMap(recordsOf).map((record) => [record.id, record])).values()];
    const [first] = all;
    if (first === undefined) throw new CredentialError('NotFound', { name: '' });
    const { space } = first;
    const names = all.map(({ name }) => name);
    const ofSets = new Map(
      targets.flatMap((target) =>
        target.kind === 'set' ? [[target.name, target.records.map(({ name }) => name)] as const] : [],
      ),
    );
    requireGeneration(writer, space, names, parameters.ifGeneration, ofSets);
    dropGrantsOf(writer, space, names, removeCredentials(writer, space, all, ofSets));
    return { generation: writer.generation(space), removed: names };
  }, caller.uid);
};
