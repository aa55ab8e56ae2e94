import { CredentialError } from '../../src/errors.ts';
import { requireAdministrator } from '../access/rules.ts';
import type { SlotRecord } from '../vault/slots.ts';
import type { Context, Method } from './context.ts';

/** Unlocks the store with a passphrase or a recovery code, or with the slots that need neither. */
export const unlock: Method<'Unlock'> = async ({ slots }, caller, { passphrase, recoveryCode }) => {
  requireAdministrator(caller);
  if (typeof passphrase === 'string' && typeof recoveryCode === 'string') {
    throw new CredentialError('InvalidValue', { name: 'passphrase', reason: 'a recovery code was given as well' });
  }
  if (typeof passphrase === 'string') return { slot: (await slots.unlockWithPassphrase(passphrase)).id };
  if (typeof recoveryCode === 'string') return { slot: (await slots.unlockWithRecoveryCode(recoveryCode)).id };
  return { slot: (await unlockUnattended(slots)).id };
};

async function unlockUnattended(slots: Context['slots']): Promise<SlotRecord> {
  const { opened, troubles } = await slots.unlockUnattended();
  if (opened !== undefined) return opened;
  if (troubles.length === 0) throw new CredentialError('UnlockFailed', { reason: 'no_slot' });
  throw new CredentialError('UnlockFailed', {
    reason: 'wrong_secret',
    troubles: troubles.map(({ slot, reason }) => `slot ${slot.id} (${slot.kind}): ${reason}`),
  });
}
