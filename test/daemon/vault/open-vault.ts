import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { dropDanglingGrants } from '../../../daemon/access/grants.ts';
import { removeCredentials, saveVersion } from '../../../daemon/methods/save-version.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { createFirstSlot } from '../../../daemon/vault/first-slot.ts';
import { fsck } from '../../../daemon/vault/fsck.ts';
import type { Findings } from '../../../daemon/vault/findings.ts';
import { fillNewStore } from '../../../daemon/vault/new-store.ts';
import type { VaultReader } from '../../../daemon/vault/reader.ts';
import { currentVersion, emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { GrantEntry, PrincipalId, Space } from '../../../daemon/vault/records.ts';
import { rekey } from '../../../daemon/vault/rekey.ts';
import { repair } from '../../../daemon/vault/repair.ts';
import { SlotKeeper } from '../../../daemon/vault/slot-keeper.ts';
import { Sodium } from '../../../daemon/vault/sodium.ts';
import { Vault } from '../../../daemon/vault/vault.ts';
import type { Scope } from '../../support/scope.ts';
import { memoryDirectory } from './memory-directory.ts';
import { editFile } from './raw-file.ts';

let sodiumOfAll: Promise<Sodium> | undefined;

/**
 * Loads one instance for all stores of a test file, as in a daemon: each instance has memory that is never given back.
 */
function loadSodium(): Promise<Sodium> {
  sodiumOfAll ??= Sodium.load();
  return sodiumOfAll;
}

export const STORE_FILE = 'credentials.db';
export const NOW = 1_700_000_000_000;

/** A vault on a real file, wired as in the daemon, with short methods for what tests do to it. */
export class TestVault {
  readonly directory: string;
  readonly path: string;
  readonly sodium: Sodium;
  readonly store: SqliteStore;
  readonly vault: Vault;
  readonly slots: SlotKeeper;
  readonly purgeFailures: unknown[] = [];
  purgesAfterFailure = 0;
  commitsAgain = 0;
  readonly watcherFailures: unknown[] = [];
  readonly #scope: Scope;

  private constructor(
    scope: Scope,
    directory: string,
    sodium: Sodium,
    store: SqliteStore,
    credentialsDirectory: string | undefined,
  ) {
    this.#scope = scope;
    this.directory = directory;
    this.path = path.join(directory, STORE_FILE);
    this.sodium = sodium;
    this.store = store;
    this.vault = new Vault(store, sodium, {
      onPurgeFailed: (error) => void this.purgeFailures.push(error),
      onPurged: () => {
        this.purgesAfterFailure += 1;
      },
      onWatcherFailed: (error) => void this.watcherFailures.push(error),
      onCommitsAgain: () => {
        this.commitsAgain += 1;
      },
    });
    this.slots = new SlotKeeper(this.vault, sodium, { stateDirectory: directory, credentialsDirectory }, () => NOW);
  }

  /** Makes a new store with a key file beside it, and opens it. */
  static async create(scope: Scope, directory: string = memoryDirectory(scope)): Promise<TestVault> {
    const sodium = await loadSodium();
    const store = SqliteStore.open(path.join(directory, STORE_FILE));
    await fillNewStore(store, sodium, async (storeId, rootKey) => {
      const places = { stateDirectory: directory, credentialsDirectory: undefined };
      return (await createFirstSlot(sodium, storeId, rootKey, places, NOW)).slot;
    });
    store.close();
    return TestVault.open(scope, directory);
  }

  /** Opens the store in a directory, and unlocks it if its key file can. */
  static async open(scope: Scope, directory: string, credentialsDirectory?: string): Promise<TestVault> {
    const opened = await TestVault.openLocked(scope, directory, credentialsDirectory);
    await opened.slots.unlockUnattended();
    return opened;
  }

  static async openLocked(scope: Scope, directory: string, credentialsDirectory?: string): Promise<TestVault> {
    const sodium = await loadSodium();
    const store = SqliteStore.open(path.join(directory, STORE_FILE));
    try {
      const opened = new TestVault(scope, directory, sodium, store, credentialsDirectory);
      scope.after(() => opened.vault.close());
      return opened;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Closes the file. Deleted data is purged from it by then. */
  close(): Promise<void> {
    return this.vault.close();
  }

  /** Closes the store, changes its file as an attacker without a key would, and opens it again. */
  async tampered(edit: (database: Database.Database) => void): Promise<TestVault> {
    await this.close();
    editFile(this.path, edit);
    return TestVault.open(this.#scope, this.directory);
  }

  /** Closes the store and opens it again, as a restart does. */
  async reopened(): Promise<TestVault> {
    await this.close();
    return TestVault.open(this.#scope, this.directory);
  }

  /** Stores a value as the current version, as the method Create does. */
  save(name: string, value: string | Uint8Array, space: Space = 'system'): Promise<number> {
    return this.vault.write((writer) =>
      saveVersion(writer, {
        space,
        name,
        existing: writer.credential(space, name),
        value: Buffer.from(value as Uint8Array),
        changed: NOW,
        changedBy: uidOf(space),
      }),
    );
  }

  /** Stores some names in one commit, each with its own name as the value. */
  async saveAll(names: readonly string[], space: Space = 'system'): Promise<void> {
    await Promise.all(names.map((name) => this.save(name, name, space)));
  }

  remove(name: string, space: Space = 'system'): Promise<void> {
    return this.vault.write((writer) => {
      const record = writer.credential(space, name);
      if (record !== undefined) removeCredentials(writer, space, [record]);
    });
  }

  grant(principal: PrincipalId, ...entries: readonly GrantEntry[]): Promise<void> {
    return this.vault.write((writer) => {
      const known = writer.principal(principal) ?? emptyPrincipal(principal);
      writer.putPrincipal({ ...known, grants: [...known.grants, ...entries] });
    });
  }

  revoke(principal: PrincipalId, { target }: GrantEntry): Promise<void> {
    return this.vault.write((writer) => {
      const known = writer.principal(principal) ?? emptyPrincipal(principal);
      writer.putPrincipal({ ...known, grants: known.grants.filter((grant) => grant.target !== target) });
    });
  }

  /** Returns a value as text, or undefined if there is no such credential. */
  value(name: string, version?: number, space: Space = 'system'): string | undefined {
    return this.vault.read((reader) => valueOf(reader, name, version, space));
  }

  fsck(): Promise<Findings> {
    return this.vault.exclusive((state, store) => fsck(state, store));
  }

  /** Checks and repairs the store, as the method Fsck does. */
  repair(): Promise<Findings> {
    return this.vault.exclusive(async (state, store) => {
      const findings = await fsck(state, store);
      if (findings.problems.length > 0) repair(state, store, findings, dropDanglingGrants);
      return findings;
    });
  }

  rekey(): Promise<{ keyEpoch: number; records: number }> {
    return this.vault.exclusive((state, store) => rekey(this.sodium, state, store));
  }
}

export function valueOf(
  reader: VaultReader,
  name: string,
  version?: number,
  space: Space = 'system',
): string | undefined {
  const record = reader.credential(space, name);
  if (record === undefined) return undefined;
  return Buffer.from(reader.value(record, version ?? currentVersion(record).version)).toString();
}

function uidOf(space: Space): number {
  return space === 'system' ? 0 : Number(space.slice('uid:'.length));
}

/** Lets the event loop turn once, and tells whether the promise is still pending then. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const turn = Symbol('turn');
  return (await Promise.race([promise, nextTurn(turn)])) === turn;
}
