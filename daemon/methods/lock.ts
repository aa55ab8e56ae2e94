import { requireAdministrator } from '../access/rules.ts';
import type { Method } from './context.ts';

/** Wipes the keys. Only `Unlock` brings them back. */
export const lock: Method<'Lock'> = async ({ vault }, caller) => {
  requireAdministrator(caller);
  await vault.lock();
  return {};
};
