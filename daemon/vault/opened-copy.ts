import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { isOfSystem } from '../store/file-error.ts';
import { isStoreFile, refuseNewerFile } from '../store/foreign-file.ts';
import { BODY_BYTES_MAX, KIND, StoreError } from '../store/sealed-store.ts';
import type { SealedReader } from '../store/sealed-store.ts';
import { inspectPages } from '../store/inspect-pages.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { everyRecord } from './every-record.ts';
import { fsck } from './fsck.ts';
import { openCredential } from './reader.ts';
import { currentVersion, emptyPrincipal, isSpace } from './records.ts';
import type { PrincipalRecord } from './records.ts';
import { SlotKeeper } from './slot-keeper.ts';
import type { SlotPlaces } from './slot-keeper.ts';
import type { Sodium } from './sodium.ts';
import { afterRestore } from './taken-back.ts';
import { Vault } from './vault.ts';

/** What a copy is opened with: the key of the store that is open, and what somebody gave. */
export interface CopyKeys {
  readonly store: Vault;
  readonly passphrase: string | undefined;
  readonly recoveryCode: string | undefined;
}

/** What is told of a copy before it takes the place of the store. */
export interface CopySummary {
  readonly credentials: number;
  readonly commits: number;
  /** Milliseconds since the epoch; undefined where there is no credential. */
  readonly changed: number | undefined;
}

/** A copy of a store, in a file that is nobody else's, open. */
export class OpenedCopy {
  readonly #store: SqliteStore;
  readonly #vault: Vault;
  /** A slot that needs nobody opens it here. */
  readonly opensByItself: boolean;

  private constructor(store: SqliteStore, vault: Vault, opensByItself: boolean) {
    this.#store = store;
    this.#vault = vault;
    this.opensByItself = opensByItself;
  }

  /**
   * Opens the copy; an older version of the format is brought to the present one.
   *
   * @param isInspected its pages were found good before
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
    // Before SQLite reads any of it here: whoever made it up may have had more in mind than what it says.
    if (!isInspected && (await inspectPages(path, BODY_BYTES_MAX)).length > 0) throw badCopy('damaged');
    const store = asBadCopy(() => SqliteStore.open(path));
    let vault: Vault | undefined;
    try {
      // Nothing waits to be purged: what is deleted in a copy was never in the store. And nobody watches it.
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
      // What was given may have failed where another key had opened it.
      if (vault === undefined) store.close();
      else await vault.close();
      throw error;
    }
  }

  get storeId(): Uint8Array {
    return this.#vault.storeId;
  }

  /** Bytes of its file. */
  get bytes(): number {
    return this.#store.copyBytes();
  }

  /** For {@link prepareReplacement}. */
  get records(): SealedReader {
    return this.#store;
  }

  /** The root key, as a key of the same `Sodium`'s that the caller owns. */
  rootKey(sodium: Sodium): Uint8Array {
    return sodium.copyKey(this.#vault.unlocked().rootKey);
  }

  /** Reads every record. @throws CredentialError `BadCopy` where one is damaged, missing, added or older than the head says */
  async check(): Promise<void> {
    try {
      const { problems } = await this.#vault.exclusive((state, store) => fsck(state, store, []));
      if (problems.length > 0) throw badCopy('damaged');
    } catch (error) {
      throw toBadCopy(error);
    }
  }

  /**
   * Has each space count its commits on from where the store is, with the restore as the next one. A generation then stands
   * for one state of its space, also after older contents were brought back: who was away meanwhile, and compares, sees that
   * there is another.
   *
   * @param principals those of the store
   * @param storeId that of the store
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

  /** Of a copy that was checked. */
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

  /** Wipes its keys, and closes the file. */
  close(): Promise<void> {
    return this.#vault.close();
  }
}

/** @returns whether a slot that needs nobody opens it */
async function unlock(vault: Vault, slots: SlotKeeper, sodium: Sodium, keys: CopyKeys): Promise<boolean> {
  const { store, passphrase, recoveryCode } = keys;
  try {
    const { opened, troubles } = await slots.unlockUnattended();
    if (vault.isLocked) unlockWithKeyOf(store, vault, sodium);
    // Also where it is open by now: whoever tries out what is on a piece of paper is told when that opens nothing.
    if (passphrase !== undefined) await slots.unlockWithPassphrase(passphrase);
    if (recoveryCode !== undefined) await slots.unlockWithRecoveryCode(recoveryCode);
    if (vault.isLocked) {
      throw new CredentialError('UnlockFailed', { reason: troubles.length === 0 ? 'no_slot' : 'wrong_secret' });
    }
    return opened !== undefined;
  } catch (error) {
    // The slot was opened, and the data key was not.
    throw isCredentialError(error, 'Damaged') ? badCopy('damaged') : error;
  }
}

/** A copy of a store has its root key, whatever became of the slots since. */
function unlockWithKeyOf(store: Vault, copy: Vault, sodium: Sodium): void {
  if (store.isLocked || Buffer.compare(store.storeId, copy.storeId) !== 0) return;
  try {
    copy.unlock(sodium.copyKey(store.unlocked().rootKey));
  } catch (error) {
    // Another root key under the id of this store: then it is for the slots to open it.
    if (!isCredentialError(error, 'Damaged')) throw error;
  }
}

function ignore(): void {
  // Of a copy it is no matter.
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
 * A disk that is full or fails, and a system that has no memory or descriptors, are no fault of the copy. Whatever else goes
 * wrong with it is: nobody else has the file.
 */
function toBadCopy(error: unknown): unknown {
  if (isCredentialError(error, 'Damaged')) return badCopy('damaged');
  if (!(error instanceof StoreError)) return error;
  if (error.failure === 'newer') return badCopy('newer');
  if (error.failure === 'io') return isOfSystem(error.cause) ? error : badCopy('damaged');
  return error.failure === 'damaged' ? badCopy('damaged') : error;
}
