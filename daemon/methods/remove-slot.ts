import { CredentialError } from '../../src/errors.ts';
import { requireAdministrator } from '../access/rules.ts';
import type { Method } from './context.ts';

const SLOT_ID = /^[0-9a-f]{8}$/;

/** Removes a way to open the store; the last one cannot be removed. */
export const removeSlot: Method<'RemoveSlot'> = async ({ slots, vault }, caller, { id }) => {
  requireAdministrator(caller);
  vault.unlocked();
  if (!SLOT_ID.test(id)) throw new CredentialError('NotFound', { name: '' });
  await slots.remove(id);
  return {};
};
