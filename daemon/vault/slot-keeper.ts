import { rmSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';

import { CredentialError } from '../../src/errors.ts';
import { KeyFileError, createKeyFile, isTemporaryName, readKeyFile } from './key-file.ts';
import { newRecoveryCode, parseRecoveryCode } from './recovery-code.ts';
import { SLOTS_MAX, makeSlot, openSlot } from './slots.ts';
import type { NewSlot, SlotRecord, SlotSecret } from './slots.ts';
import { wipe } from './sodium.ts';
import type { Sodium } from './sodium.ts';
import type { Vault } from './vault.ts';

/** Name of the key file that is created for a new store, in the state directory. */
export const DEFAULT_KEY_FILE = 'root.key';

/**
 * What the daemon and SQLite call their own files in the state directory: the store with all that belongs to it, the
 * directory of copies, which is emptied at each start, and the lock. With a key file of such a name, the daemon would
 * not start, or would remove the key.
 */
const OWN_FILE = /^(?:credentials\.db.*|copies|copies\/.*|lock)$/;

/** Name of the systemd credential with the key of the first slot. */
export const DEFAULT_SYSTEMD_CREDENTIAL = 'cio-credentiald.root-key';

/** The places where unattended slots find their keys. */
export interface SlotPlaces {
  readonly stateDirectory: string;
  /** `$CREDENTIALS_DIRECTORY` (systemd.exec(5)); undefined if systemd gave none. */
  readonly credentialsDirectory: string | undefined;
}

/** A request to add a slot. */
export type SlotRequest =
  | { readonly kind: 'keyfile'; readonly path: string; readonly label?: string }
  | { readonly kind: 'systemd'; readonly credential: string; readonly label?: string }
  | { readonly kind: 'passphrase'; readonly passphrase: string; readonly label?: string }
  | { readonly kind: 'recovery'; readonly label?: string };

/** Why an unattended slot did not unlock the store, for the operator. Contains nothing of a key. */
export type SlotTrouble = { readonly slot: SlotRecord; readonly reason: string };

/** Unlocks the vault with its slots, and adds and removes slots. */
export class SlotKeeper {
  readonly #vault: Vault;
  readonly #sodium: Sodium;
  readonly #places: SlotPlaces;
  readonly #now: () => number;
  #isTrying = false;
  /** Number of slots that are being created. */
  #added = 0;
  /** Settles when no passphrase of a new slot is being derived or queued for that. */
  #derived: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(vault: Vault, sodium: Sodium, places: SlotPlaces, now: () => number) {
    this.#vault = vault;
    this.#sodium = sodium;
    this.#places = places;
    this.#now = now;
  }

  /**
   * Tries the unattended slots: systemd's first, then key files. Returns the slot that unlocked, and why others did
   * not.
   */
  async unlockUnattended(): Promise<{ readonly opened: SlotRecord | undefined; readonly troubles: SlotTrouble[] }> {
    const troubles: SlotTrouble[] = [];
    const slots = this.#vault.slots();
    for (const slot of [...slots.filter(isSystemd), ...slots.filter(isKeyFile)]) {
      try {
        const key = readSlotKey(slot, this.#places);
        const isOpen = await this.#tryUnlock(slot, { key }).finally(() => wipe(key));
        if (isOpen) return { opened: slot, troubles };
        troubles.push({ slot, reason: 'the key is not the one of this slot' });
      } catch (error) {
        if (!(error instanceof KeyFileError)) throw error;
        troubles.push({ slot, reason: error.message });
      }
    }
    return { opened: undefined, troubles };
  }

  /** @throws CredentialError `UnlockFailed`, `OutOfMemory` */
  async unlockWithPassphrase(passphrase: string): Promise<SlotRecord> {
    const slots = this.#vault.slots().filter((slot) => slot.kind === 'passphrase');
    return this.#unlockWithAny(slots, { passphrase });
  }

  /** @throws CredentialError `UnlockFailed` */
  async unlockWithRecoveryCode(code: string): Promise<SlotRecord> {
    const key = parseRecoveryCode(code);
    if (key === undefined) throw new CredentialError('UnlockFailed', { reason: 'bad_code' });
    try {
      return await this.#unlockWithAny(
        this.#vault.slots().filter((slot) => slot.kind === 'recovery'),
        { key },
      );
    } finally {
      wipe(key);
    }
  }

  /**
   * Adds a slot to the unlocked store.
   *
   * @returns the slot, and for a recovery slot its code, which is stored nowhere
   * @throws CredentialError `Locked`, `InvalidValue`, `TooLarge`, `OutOfMemory`; `Busy` if {@link stop} was called
   *   before its turn came, or a restore brought another root key meanwhile
   */
  async add(request: SlotRequest): Promise<{ readonly slot: SlotRecord; readonly recoveryCode?: string }> {
    // Slots that are still being created count too: each holds a key, and deriving one from a passphrase takes long.
    if (this.#vault.slots().length + this.#added >= SLOTS_MAX) {
      throw new CredentialError('TooLarge', { limit: SLOTS_MAX });
    }
    // A copy of the root key, since locking the store may wipe the original while a passphrase is derived.
    const rootKey = this.#sodium.copyKey(this.#vault.unlocked().rootKey);
    const label = request.label === undefined ? {} : { label: request.label };
    this.#added += 1;
    try {
      switch (request.kind) {
        case 'passphrase':
          return {
            slot: await this.#store(rootKey, { kind: 'passphrase', ...label }, { passphrase: request.passphrase }),
          };
        case 'recovery': {
          const recoveryCode = newRecoveryCode();
          const slot = await this.#storeKey(rootKey, { kind: 'recovery', ...label }, parsedCode(recoveryCode));
          return { slot, recoveryCode };
        }
        case 'keyfile': {
          const path = pathInSlot(this.#places, request.path);
          if (OWN_FILE.test(path) || (!isAbsolute(path) && isTemporaryName(path))) {
            const reason = "a file of that name in the state directory is the daemon's own";
            throw new CredentialError('InvalidValue', { name: 'path', reason });
          }
          const key = refusing('path', () => createKeyFile(request.path));
          try {
            return { slot: await this.#storeKey(rootKey, { kind: 'keyfile', path, ...label }, key) };
          } catch (error) {
            // The slot was not stored, so the key file is useless.
            rmSync(request.path, { force: true });
            throw error;
          }
        }
        case 'systemd': {
          const { credential } = request;
          const key = refusing('credential', () => readCredential(credential, this.#places));
          return { slot: await this.#storeKey(rootKey, { kind: 'systemd', credential, ...label }, key) };
        }
      }
    } finally {
      this.#added -= 1;
      this.#sodium.release(rootKey);
    }
  }

  /** Refuses further derivations from a passphrase with `Busy`, queued ones included. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Tells whether a key file at `path` would be in the state directory, beside the store. */
  isInStateDirectory(path: string): boolean {
    return pathInSlot(this.#places, path) !== path;
  }

  /** @throws CredentialError `NotFound`, `LastSlot` */
  async remove(id: string): Promise<void> {
    await this.#vault.write((writer) => {
      const slots = writer.slots();
      if (!slots.some((slot) => slot.id === id)) throw new CredentialError('NotFound', { name: id });
      if (slots.length <= 1) throw new CredentialError('LastSlot', {});
      writer.deleteSlot(id);
    });
  }

  /** Makes and stores a slot with a key, and wipes `key`. */
  async #storeKey(rootKey: Uint8Array, slot: NewSlot, key: Uint8Array): Promise<SlotRecord> {
    try {
      return await this.#store(rootKey, slot, { key });
    } finally {
      wipe(key);
    }
  }

  async #store(rootKey: Uint8Array, slot: NewSlot, secret: SlotSecret): Promise<SlotRecord> {
    const make = (): Promise<SlotRecord> =>
      makeSlot(this.#sodium, this.#vault.storeId, rootKey, slot, secret, this.#now());
    const record = await (slot.kind === 'passphrase' ? this.#inTurn(make) : make());
    await this.#vault.write((writer) => {
      // A restore may have replaced the root key meanwhile, and this slot holds the old one.
      if (Buffer.compare(this.#vault.unlocked().rootKey, rootKey) !== 0) throw new CredentialError('Busy', {});
      // Other slots may have been added while this one was created.
      if (writer.slots().length >= SLOTS_MAX) throw new CredentialError('TooLarge', { limit: SLOTS_MAX });
      writer.putSlot(record);
    });
    return record;
  }

  /**
   * Derives new slots from passphrases one at a time, as each takes much memory. A derivation is not started if the
   * store has been locked, or the daemon is stopping, when its turn comes.
   */
  #inTurn<T>(derive: () => Promise<T>): Promise<T> {
    const derived = this.#derived.then(() => {
      this.#vault.unlocked();
      this.#requireRunning();
      return derive();
    });
    this.#derived = derived.catch(() => undefined);
    return derived;
  }

  #requireRunning(): void {
    if (this.#isStopped) throw new CredentialError('Busy', {});
  }

  /** Tries slots one after the other. Refuses a second caller meanwhile: trying a passphrase takes much memory. */
  async #unlockWithAny(slots: readonly SlotRecord[], secret: SlotSecret): Promise<SlotRecord> {
    if (slots.length === 0) throw new CredentialError('UnlockFailed', { reason: 'no_slot' });
    if (this.#isTrying) throw new CredentialError('Busy', {});
    this.#isTrying = true;
    try {
      for (const slot of slots) {
        this.#requireRunning();
        if (await this.#tryUnlock(slot, secret)) return slot;
      }
      throw new CredentialError('UnlockFailed', { reason: 'wrong_secret' });
    } finally {
      this.#isTrying = false;
    }
  }

  async #tryUnlock(slot: SlotRecord, secret: SlotSecret): Promise<boolean> {
    const rootKey = await openSlot(this.#sodium, this.#vault.storeId, slot, secret);
    if (rootKey === undefined) return false;
    let exists = false;
    try {
      // While the key was derived, the slot may have been removed, or the copy of another store restored.
      exists = this.#vault.slots().some(({ wrapped }) => wrapped === slot.wrapped);
    } finally {
      if (!exists) this.#sodium.release(rootKey);
    }
    if (exists) this.#vault.unlock(rootKey);
    return exists;
  }
}

/** Reads the key of an unattended slot; the caller owns and wipes it. @throws KeyFileError */
function readSlotKey(slot: SlotRecord, places: SlotPlaces): Uint8Array {
  if (slot.kind === 'systemd') return readCredential(slot.credential ?? DEFAULT_SYSTEMD_CREDENTIAL, places);
  const path = slot.path ?? DEFAULT_KEY_FILE;
  return readKeyFile(isAbsolute(path) ? path : join(places.stateDirectory, path));
}

/**
 * Returns a path as a slot stores it: relative if it is in the state directory, so that it stays valid when that is
 * moved.
 */
export function pathInSlot(places: SlotPlaces, path: string): string {
  const inside = relative(places.stateDirectory, path);
  return inside.startsWith('..') || isAbsolute(inside) ? path : inside;
}

function readCredential(credential: string, places: SlotPlaces): Uint8Array {
  if (places.credentialsDirectory === undefined) {
    throw new KeyFileError('systemd gave the daemon no credentials ($CREDENTIALS_DIRECTORY is not set)', true);
  }
  return readKeyFile(join(places.credentialsDirectory, credential), false);
}

function parsedCode(code: string): Uint8Array {
  const key = parseRecoveryCode(code);
  if (key === undefined) throw new TypeError('a new recovery code is valid');
  return key;
}

function refusing<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    throw new CredentialError('InvalidValue', { name, reason: error.message });
  }
}

function isSystemd(slot: SlotRecord): boolean {
  return slot.kind === 'systemd';
}

function isKeyFile(slot: SlotRecord): boolean {
  return slot.kind === 'keyfile';
}
