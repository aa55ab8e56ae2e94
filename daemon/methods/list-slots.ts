import { requireAdministrator } from '../access/rules.ts';
import { describeSlot } from '../vault/slots.ts';
import type { Method } from './context.ts';

/** Lists the ways to open the store, also while it is locked. */
export const listSlots: Method<'ListSlots'> = ({ vault }, caller) => {
  requireAdministrator(caller);
  return { slots: vault.slots().map(describeSlot) };
};
