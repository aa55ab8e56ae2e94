import { statfsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { Load } from './load.ts';
import { callOnce, startInstalledDaemon } from './servers.ts';
import { BenchScope } from './bench-scope.ts';
import { Unavailable } from './row.ts';

/** The most that the daemon accepts in one call. */
const CREDENTIALS_PER_CALL = 1000;
/** Enough for a call to be written while the next one arrives. */
const WINDOW = 4;

/** Space on disk, including the WAL; 1.4 KiB per credential were seen in the store. */
const BYTES_PER_CREDENTIAL = 2000;
const MEBIBYTE = 1024 * 1024;

/** A state directory for a daemon to start on. */
export interface PreparedStore {
  readonly stateDirectory: string;
  readonly credentials: number;
  /** How long the daemon took to store them all. */
  readonly seconds: number;
}

/** Stores with many credentials, each made on first use. */
export class PreparedStores {
  readonly #scope: Scope;
  readonly #load: Load;
  readonly #stores: Map<number, Promise<PreparedStore>> = new Map();

  constructor(scope: Scope, load: Load) {
    this.#scope = scope;
    this.#load = load;
  }

  /** Returns a store, made through the protocol as a user's would be. The daemon that made it has ended. */
  get(credentials: number): Promise<PreparedStore> {
    const known = this.#stores.get(credentials);
    if (known !== undefined) return known;
    const store = this.#prepare(credentials);
    this.#stores.set(credentials, store);
    return store;
  }

  async #prepare(credentials: number): Promise<PreparedStore> {
    requireRoom(credentials * BYTES_PER_CREDENTIAL);
    const stateDirectory = path.join(temporaryDirectory(this.#scope, 'cio-bench'), 'state');
    await using scope = new BenchScope();
    const daemon = await startInstalledDaemon(scope, { stateDirectory });
    const target = await this.#load.open(daemon, 1);
    const perCall = Math.min(credentials, CREDENTIALS_PER_CALL);
    const plan = { kind: 'create', first: 0, perCall } as const;
    const { ms } = await target.pipelined(plan, { calls: Math.ceil(credentials / perCall), window: WINDOW });
    await target.close();
    const { credentials: stored } = await callOnce(scope, daemon, 'Status');
    if (stored !== credentials) throw new Error(`${credentials} credentials were to be stored, not ${String(stored)}`);
    await daemon.stop();
    return { stateDirectory, credentials, seconds: ms / 1000 };
  }
}

/** @throws Unavailable */
function requireRoom(bytes: number): void {
  const { bavail, bsize } = statfsSync(os.tmpdir());
  if (bavail * bsize >= bytes) return;
  const [needed, free] = [bytes, bavail * bsize].map((value) => Math.ceil(value / MEBIBYTE));
  throw new Unavailable(`needs ${needed} MiB in ${os.tmpdir()}, which has ${free} (TMPDIR names another folder)`);
}
