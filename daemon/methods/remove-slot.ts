import { requireAdministrator } from '../access/rules.ts';
import type { Method } from './context.ts';

/** Removes a way to open the store; the last one stays. */
export const removeSlot: Method<'RemoveSlot'> = async ({ slots }, caller, { id }) => {
  requireAdministrator(caller);
  await slots.remove(id);
  return {};
};
