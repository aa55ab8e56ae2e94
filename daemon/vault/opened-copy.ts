import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { isOfSystem } from '../store/file-error.ts';
import { isStoreFile, refuseNewerFile } from '../store/foreign-file.ts';
import { BODY_BYTES_MAX, KIND, StoreError } from '../store/sealed-store.ts';
import type { SealedReader } from '../store/sealed-store.ts';
import { NotInspectedError, inspectPages } from '../store/inspect-pages.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { everyRecord } from './every-record.ts';
import { fsck } from './fsck.ts';
import { openCredential } from './reader.ts';
import { currentVersion, emptyPrincipal, isSpace } from './records.ts';
import type { PrincipalRecord } from './records.ts';
import { SlotKeeper } from './slot-keeper.ts';
import type { SlotPlaces } from './slot-keeper.ts';
import type { Sodium } from './sodium.ts';
import { afterRestore } from './restored-ranges.ts';
import type { Unlocked } from './unlocked.ts';
import { Vault } from './vault.ts';

/** The keys to try on a copy: the root key of the running store, and the secrets that the caller gave. */
export interface CopyKeys {
  readonly store: Vault;
  readonly passphrase: string | undefined;
  readonly recoveryCode: string | undefined;
}

/** The summary of a copy that the caller gets before it replaces the store. */
export interface CopySummary {
  readonly credentials: number;
  readonly commits: number;
  /** Time of the last change, in milliseconds since the epoch; undefined if there is no credential. */
  readonly changed: number | undefined;
}

/** An open copy of a store, in a file that only this process uses. */
export class OpenedCopy {
  readonly #store: SqliteStore;
  readonly #vault: Vault;
  /** Whether an unattended slot unlocks the copy on this host. */
  readonly opensByItself: boolean;

  private constructor(store: SqliteStore, vault: Vault, opensByItself: boolean) {
    this.#store = store;
    this.#vault = vault;
    this.opensByItself = opensByItself;
  }

  /**
   * Opens and unlocks a copy; migrates it to the current format version.
   *
   * @param isInspected whether its pages have already been checked and are good
   * @throws CredentialError `BadCopy`, `UnlockFailed`, `StorageFull`, `StorageFailed`
   */
  static async open(
    path: string,
    sodium: Sodium,
    places: SlotPlaces,
    now: () => number,
    keys: CopyKeys,
    isInspected: boolean,
  ): Promise<OpenedCopy> {
    if (!isStoreFile(path)) throw badCopy('foreign');
    asBadCopy(() => refuseNewerFile(path));
    // In another process, before SQLite reads any of it here: the file may be crafted to exploit SQLite.
    if (!isInspected && (await isDamaged(path))) throw badCopy('damaged');
    const store = asBadCopy(() => SqliteStore.open(path));
    let vault: Vault | undefined;
    try {
      // A failed purge does not matter, as the file of a copy is temporary. And a copy has no watchers.
      const events = {
        onPurgeFailed: ignore,
        onPurged: ignore,
        onWatcherFailed: ignore,
        onCommitsAgain: ignore,
      };
      vault = asBadCopy(() => new Vault(store, sodium, events));
      const opensByItself = await unlock(vault, new SlotKeeper(vault, sodium, places, now), sodium, keys);
      return new OpenedCopy(store, vault, opensByItself);
    } catch (error) {
      // A wrong passphrase or recovery code fails here even if another key has unlocked the copy, so there may be keys
      // to wipe.
      if (vault === undefined) store.close();
      else await vault.close();
      throw error;
    }
  }

  get storeId(): Uint8Array {
    return this.#vault.storeId;
  }

  /** Size of the copy in bytes. */
  get bytes(): number {
    return this.#store.copyBytes();
  }

  /** The sealed records of the copy, for `prepareReplacement`. */
  get records(): SealedReader {
    return this.#store;
  }

  /** The keys and the head of the copy, for `prepareReplacement`. */
  get keys(): Pick<Unlocked, 'sealing' | 'head'> {
    return this.#vault.unlocked();
  }

  /** Returns a copy of the root key, allocated by `sodium`, which the caller owns. */
  rootKey(sodium: Sodium): Uint8Array {
    return sodium.copyKey(this.#vault.unlocked().rootKey);
  }

  /**
   * Checks every record.
   *
   * @throws CredentialError `BadCopy` if one is damaged, missing, added or older than the head says
   */
  async check(): Promise<void> {
    try {
      const { problems } = await this.#vault.exclusive((state, store) => fsck(state, store, []));
      if (problems.length > 0) throw badCopy('damaged');
    } catch (error) {
      throw toBadCopy(error);
    }
  }

  /**
   * Makes the generations of each space in the copy continue those of the store, with the restore as the next
   * generation. So a generation stands for one state of its space, even after older contents were restored, and a
   * client that remembers one from before the restore can tell that the space has changed.
   *
   * @param principals the principals of the store
   * @param storeId the id of the store
   */
  async countOnFrom(principals: Iterable<PrincipalRecord>, storeId: Uint8Array): Promise<void> {
    const isSameStore = Buffer.compare(this.storeId, storeId) === 0;
    const replaced = [...principals].filter(({ principal, generation }) => isSpace(principal) && generation > 0);
    await this.#vault.write((writer) => {
      for (const record of replaced) {
        const own = writer.principal(record.principal) ?? emptyPrincipal(record.principal);
        writer.putPrincipal(afterRestore(own, record, isSameStore));
      }
    });
  }

  /** Summarises a copy that was checked. */
  async summary(): Promise<CopySummary> {
    const { sealing, head } = this.#vault.unlocked();
    let credentials = 0;
    let changed: number | undefined;
    for await (const { tag, body } of everyRecord(this.#store, KIND.credential)) {
      const record = openCredential(sealing, tag, body);
      if (record === undefined) continue;
      credentials += 1;
      changed = Math.max(changed ?? 0, currentVersion(record).changed);
    }
    return { credentials, commits: head?.commits ?? 0, changed };
  }

  /** Wipes the keys and closes the file. */
  close(): Promise<void> {
    return this.#vault.close();
  }
}

/** Inspects the pages of a copy, which counts as damaged if that crashes the inspector or takes it too long. */
async function isDamaged(path: string): Promise<boolean> {
  try {
    return (await inspectPages(path, BODY_BYTES_MAX)).length > 0;
  } catch (error) {
    if (error instanceof NotInspectedError && error.mayBeTheFile) return true;
    throw error;
  }
}

/** Unlocks a copy with any of the keys. @returns whether an unattended slot unlocks it */
async function unlock(vault: Vault, slots: SlotKeeper, sodium: Sodium, keys: CopyKeys): Promise<boolean> {
  const { store, passphrase, recoveryCode } = keys;
  try {
    const { opened, troubles } = await slots.unlockUnattended();
    if (vault.isLocked) unlockWithKeyOf(store, vault, sodium);
    // Tried even if the copy is unlocked by now: a user who tests a written-down secret must learn if it does not work.
    if (passphrase !== undefined) await slots.unlockWithPassphrase(passphrase);
    if (recoveryCode !== undefined) await slots.unlockWithRecoveryCode(recoveryCode);
    if (vault.isLocked) {
      throw new CredentialError('UnlockFailed', { reason: troubles.length === 0 ? 'no_slot' : 'wrong_secret' });
    }
    return opened !== undefined;
  } catch (error) {
    // A slot opened, but the data key could not be decrypted.
    throw isCredentialError(error, 'Damaged') ? badCopy('damaged') : error;
  }
}

/**
 * Unlocks a copy of the running store with the store's root key, which they share even if the slots have changed since.
 */
function unlockWithKeyOf(store: Vault, copy: Vault, sodium: Sodium): void {
  if (store.isLocked || Buffer.compare(store.storeId, copy.storeId) !== 0) return;
  try {
    copy.unlock(sodium.copyKey(store.unlocked().rootKey));
  } catch (error) {
    // The copy has the id of this store but another root key, so only its own slots can open it.
    if (!isCredentialError(error, 'Damaged')) throw error;
  }
}

function ignore(): void {
  // Events of a copy's vault do not matter.
}

function badCopy(reason: 'foreign' | 'damaged' | 'newer'): CredentialError {
  return new CredentialError('BadCopy', { reason });
}

function asBadCopy<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toBadCopy(error);
  }
}

/**
 * Returns `BadCopy` for an error that is the fault of the copy. A full or failing disk, and a lack of memory or
 * descriptors, are not; every other error is, since no other process uses the file.
 */
function toBadCopy(error: unknown): unknown {
  if (isCredentialError(error, 'Damaged')) return badCopy('damaged');
  if (!(error instanceof StoreError)) return error;
  if (error.failure === 'newer') return badCopy('newer');
  if (error.failure === 'io') return isOfSystem(error.cause) ? error : badCopy('damaged');
  return error.failure === 'damaged' ? badCopy('damaged') : error;
}
