import { spaceToWrite } from '../access/rules.ts';
import type { Method } from './context.ts';
import { checkCredentials, requireAbsent, saveCredentials, wipeCredentials } from './new-credentials.ts';
import { requireGeneration } from './require-generation.ts';

/** Stores one or many credentials, all or none. */
export const create: Method<'Create'> = async ({ vault, now }, caller, parameters) => {
  const space = spaceToWrite(caller, parameters.owner);
  const credentials = checkCredentials(parameters.credentials);
  try {
    return await vault.write((writer) => {
      const names = credentials.map(({ name }) => name);
      requireGeneration(writer, space, names, parameters.ifGeneration);
      if (parameters.replace !== true) requireAbsent(writer, space, credentials);
      const saved = saveCredentials(writer, credentials, { space, changed: now(), changedBy: caller.uid });
      return { generation: writer.generation(space), saved };
    }, caller.uid);
  } finally {
    wipeCredentials(credentials);
  }
};
