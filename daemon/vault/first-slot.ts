import { join } from 'node:path';

import { KeyFileError, createKeyFile, readKeyFile } from './key-file.ts';
import { DEFAULT_KEY_FILE, DEFAULT_SYSTEMD_CREDENTIAL } from './slot-keeper.ts';
import type { SlotPlaces } from './slot-keeper.ts';
import { makeSlot } from './slots.ts';
import type { SlotRecord } from './slots.ts';
import { wipe } from './sodium.ts';
import type { Sodium } from './sodium.ts';

/**
 * Makes the first slot of a new store: with systemd's credential if the daemon was given one, else with a key file in
 * the state directory. An existing key file is used and not replaced, since it may be the only key of a store that is
 * to be put back.
 *
 * @throws KeyFileError
 */
export async function createFirstSlot(
  sodium: Sodium,
  storeId: Uint8Array,
  rootKey: Uint8Array,
  places: SlotPlaces,
  created: number,
): Promise<{ readonly slot: SlotRecord; readonly newKeyFile: string | undefined }> {
  const credential = systemdKey(places);
  if (credential !== undefined) {
    const request = { kind: 'systemd', credential: DEFAULT_SYSTEMD_CREDENTIAL } as const;
    return { slot: await wrap(credential, request), newKeyFile: undefined };
  }
  const path = join(places.stateDirectory, DEFAULT_KEY_FILE);
  const { key, isNew } = readOrCreate(path);
  const slot = await wrap(key, { kind: 'keyfile', path: DEFAULT_KEY_FILE });
  return { slot, newKeyFile: isNew ? path : undefined };

  async function wrap(slotKey: Uint8Array, request: Parameters<typeof makeSlot>[3]): Promise<SlotRecord> {
    try {
      return await makeSlot(sodium, storeId, rootKey, request, { key: slotKey }, created);
    } finally {
      wipe(slotKey);
    }
  }
}

function systemdKey({ credentialsDirectory }: SlotPlaces): Uint8Array | undefined {
  if (credentialsDirectory === undefined) return undefined;
  try {
    return readKeyFile(join(credentialsDirectory, DEFAULT_SYSTEMD_CREDENTIAL), false);
  } catch (error) {
    if (error instanceof KeyFileError && error.isMissing) return undefined;
    throw error;
  }
}

function readOrCreate(path: string): { readonly key: Uint8Array; readonly isNew: boolean } {
  try {
    return { key: readKeyFile(path), isNew: false };
  } catch (error) {
    if (!(error instanceof KeyFileError) || !error.isMissing) throw error;
    return { key: createKeyFile(path), isNew: true };
  }
}
