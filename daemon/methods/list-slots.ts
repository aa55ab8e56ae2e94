import { requireAdministrator } from '../access/rules.ts';
import { describeSlot } from '../vault/slots.ts';
import type { Method } from './context.ts';

/** The ways to open the store, which are told locked or not. */
export const listSlots: Method<'ListSlots'> = ({ vault }, caller) => {
  requireAdministrator(caller);
  return { slots: vault.slots().map(describeSlot) };
};
