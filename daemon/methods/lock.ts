import { requireAdministrator } from '../access/rules.ts';
import type { Method } from './context.ts';

/** Wipes the keys; they come back by {@link unlock} only. */
export const lock: Method<'Lock'> = async ({ vault }, caller) => {
  requireAdministrator(caller);
  await vault.lock();
  return {};
};
