import { requireAdministrator } from '../access/rules.ts';
import { rekey as sealAnew } from '../vault/rekey.ts';
import type { Method } from './context.ts';

/** Changes the data key; writes wait meanwhile, reads do not. */
export const rekey: Method<'Rekey'> = async ({ vault, sodium }, caller) => {
  requireAdministrator(caller);
  return vault.exclusive((state, store) => sealAnew(sodium, state, store));
};
