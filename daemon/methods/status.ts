import { isCredentialError } from '../../src/errors.ts';
import { formatUuid } from '../access/set-uuid.ts';
import { describeSlot } from '../vault/slots.ts';
import type { Context, Method } from './context.ts';

/** Reports the state of the daemon to any caller, locked or not; administrators are told more. */
export const status: Method<'Status'> = async (context, caller) => {
  const { vault, protection, started, version, stateDirectory, countWaiting, validateEveryMs } = context;
  const { isIntact } = context.selfCheck;
  const failing = caller.isAdministrator ? await countFailing(context) : undefined;
  const process_ = { version, pid: process.pid, uid: process.getuid?.() ?? -1, started };
  const open = vault.isLocked
    ? {}
    : vault.read((reader) => ({
        credentials: reader.principal(caller.space)?.count ?? 0,
        generation: reader.principal(caller.space)?.generation ?? 0,
      }));
  const forAdministrators = caller.isAdministrator
    ? {
        slots: vault.slots().map(describeSlot),
        storeId: formatUuid(vault.storeId),
        keysLocked: protection.areKeysLocked,
        undumpable: protection.isUndumpable,
        stateDirectory,
        waiting: countWaiting(),
        ...(validateEveryMs === undefined ? {} : { validateEvery: validateEveryMs }),
        ...(failing === undefined ? {} : { failing }),
        ...(isIntact === undefined ? {} : { intact: isIntact }),
        ...(vault.isLocked ? {} : { keyEpoch: vault.unlocked().sealing.epoch }),
      }
    : {};
  return { ...process_, locked: vault.isLocked, administrator: caller.isAdministrator, ...open, ...forAdministrators };
};

/** Returns how many sets fail; undefined if the store is locked, or gets locked meanwhile. */
async function countFailing({ vault, health }: Context): Promise<number | undefined> {
  if (vault.isLocked) return undefined;
  try {
    return await health.countFailing();
  } catch (error) {
    if (isCredentialError(error, 'Locked')) return undefined;
    throw error;
  }
}
