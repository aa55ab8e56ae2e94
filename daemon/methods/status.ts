import { formatUuid } from '../access/set-uuid.ts';
import { describeSlot } from '../vault/slots.ts';
import type { Method } from './context.ts';

/** What anybody may ask, locked or not; what only administrators are told comes on top. */
export const status: Method<'Status'> = (
  { vault, protection, started, version, stateDirectory, countWaiting },
  caller,
) => {
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
        ...(vault.isLocked ? {} : { keyEpoch: vault.unlocked().sealing.epoch }),
      }
    : {};
  return { ...process_, locked: vault.isLocked, administrator: caller.isAdministrator, ...open, ...forAdministrators };
};
