import { CredentialError } from '../../src/errors.ts';
import { ITEMS_PER_CALL_MAX } from '../../src/limits.ts';
import { dropGrantsOf } from '../access/grants.ts';
import { findWritableTarget, recordsOf, resolveUuid } from '../access/targets.ts';
import type { NamedTarget } from '../access/targets.ts';
import type { CredentialRecord } from '../vault/records.ts';
import type { Context, Method } from './context.ts';
import { requireGeneration } from './require-generation.ts';
import { removeCredential } from './save-version.ts';

/** Removes credentials and whole sets for good: their kept versions and what was granted of them go with them. */
export const remove: Method<'Remove'> = async (context: Context, caller, parameters) => {
  const { vault } = context;
  if (parameters.names.length > ITEMS_PER_CALL_MAX)
    throw new CredentialError('TooLarge', { limit: ITEMS_PER_CALL_MAX });
  if (parameters.names.length === 0) throw new CredentialError('InvalidName', { name: '', reason: 'no name is given' });
  const named: NamedTarget[] = [];
  for (const text of parameters.names) named.push(await resolveUuid(vault, caller, text, parameters.owner));
  return vault.write((writer) => {
    const records = new Map<string, CredentialRecord>();
    for (const target of named) {
      for (const record of recordsOf(findWritableTarget(caller, writer, target))) records.set(record.id, record);
    }
    const all = [...records.values()];
    const [first] = all;
    if (first === undefined) throw new CredentialError('NotFound', { name: '' });
    requireGeneration(
      writer,
      first.space,
      all.map(({ name }) => name),
      parameters.ifGeneration,
    );
    for (const record of all) removeCredential(writer, record);
    dropGrantsOf(writer, all);
    return { generation: writer.generation(first.space), removed: all.map(({ name }) => name) };
  }, caller.uid);
};
