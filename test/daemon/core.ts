import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { callerOf } from '../../daemon/access/caller.ts';
import type { Caller } from '../../daemon/access/caller.ts';
import { ChangedSets } from '../../daemon/access/changed-sets.ts';
import { WatchHub } from '../../daemon/access/watch-hub.ts';
import { createDispatch } from '../../daemon/dispatch.ts';
import type { Answer, Dispatch, Reply } from '../../daemon/dispatch.ts';
import { UserDatabase } from '../../daemon/kernel/user-database.ts';
import { Announcer } from '../../daemon/health/announcer.ts';
import { HealthRecords } from '../../daemon/health/health-records.ts';
import { createLog } from '../../daemon/log.ts';
import type { Context, MethodName } from '../../daemon/methods/context.ts';
import { Prober } from '../../daemon/probe/prober.ts';
import { ProberMissingError } from '../../daemon/probe/start-prober.ts';
import type { StartProber } from '../../daemon/probe/start-prober.ts';
import { SqliteStore } from '../../daemon/store/sqlite-store.ts';
import { Copies } from '../../daemon/vault/copies.ts';
import { createFirstSlot } from '../../daemon/vault/first-slot.ts';
import { fillNewStore, isEmptyStore } from '../../daemon/vault/new-store.ts';
import { SelfCheck } from '../../daemon/vault/self-check.ts';
import { SlotKeeper } from '../../daemon/vault/slot-keeper.ts';
import type { SlotPlaces } from '../../daemon/vault/slot-keeper.ts';
import { Sodium } from '../../daemon/vault/sodium.ts';
import { Vault } from '../../daemon/vault/vault.ts';
import { INTERFACE_NAME } from '../../src/protocol/interface.generated.ts';
import type { Methods, NewCredential } from '../../src/protocol/interface.generated.ts';
import type { Scope } from '../support/scope.ts';
import { CountingStore } from './counting-store.ts';
import { checkReply } from './reply-check.ts';
import { memoryDirectory } from './vault/memory-directory.ts';

/** The uid that the daemon of these tests seems to run as; no caller has it. */
export const DAEMON_UID = 2000;

/** The time of a core until a test changes it. */
export const START_TIME: number = Date.UTC(2026, 0, 2, 3, 4, 5);

/** A caller, as the kernel would report it. */
export interface Person {
  readonly uid: number;
  /** The same number as the uid by default. */
  readonly gid?: number;
  readonly groups?: readonly number[];
  readonly unit?: string;
}

export const ROOT: Person = { uid: 0 };
export const ALICE: Person = { uid: 3001 };
export const BOB: Person = { uid: 3002 };
/** A service, in no group of the others. */
export const RESTIC: Person = { uid: 3003, unit: 'restic.service' };

export interface CoreOptions {
  /** A new directory by default; that of another core to open its store. */
  readonly directory?: string;
  readonly credentialsDirectory?: string;
}

/** The daemon without its sockets: everything from the dispatch down to an SQLite file. */
export class Core {
  readonly directory: string;
  readonly storePath: string;
  readonly store: CountingStore;
  readonly vault: Vault;
  readonly slots: SlotKeeper;
  readonly prober: Prober;
  readonly health: HealthRecords;
  readonly announcer: Announcer;
  readonly selfCheck: SelfCheck;
  readonly dispatch: Dispatch;
  /** The logged lines. */
  readonly log: string[] = [];
  /** Milliseconds since the epoch. */
  now: number = START_TIME;
  /** How validations start their prober; none by default. */
  startProber: StartProber = () => Promise.reject(new ProberMissingError());
  readonly #copies: Copies;
  readonly #users: UserDatabase = new UserDatabase();

  constructor(sodium: Sodium, store: CountingStore, vault: Vault, places: SlotPlaces) {
    this.directory = places.stateDirectory;
    this.storePath = storePathIn(places.stateDirectory);
    this.store = store;
    this.vault = vault;
    const now = (): number => this.now;
    this.slots = new SlotKeeper(vault, sodium, places, now);
    const log = createLog((line) => void this.log.push(line), false);
    this.prober = new Prober(() => this.startProber());
    this.health = new HealthRecords(vault, log, now);
    this.announcer = new Announcer(log, vault, now);
    this.selfCheck = new SelfCheck(vault, { onDamaged: () => undefined, onFailed: () => undefined });
    this.#copies = new Copies(vault, sodium, places, now);
    const context: Context = {
      vault,
      health: this.health,
      announcer: this.announcer,
      validateEveryMs: undefined,
      sodium,
      slots: this.slots,
      copies: this.#copies,
      selfCheck: this.selfCheck,
      watches: new WatchHub(vault),
      changedSets: new ChangedSets(vault),
      prober: this.prober,
      protection: { isUndumpable: true, areKeysLocked: false },
      now,
      started: START_TIME,
      version: '1.2.3',
      stateDirectory: places.stateDirectory,
      countWaiting: () => 0,
    };
    this.dispatch = createDispatch(context, log);
  }

  /** Drops a received copy, as the daemon does after a while. */
  dropUpload(): void {
    this.#copies.uploads.drop();
  }

  caller({ uid, gid = uid, groups = [], unit }: Person): Caller {
    return callerOf(
      { pid: process.pid, uid, gid, groups, unit: () => unit, userUnit: () => undefined },
      this.#users,
      DAEMON_UID,
    );
  }

  /** Returns every reply to a message, each checked against the interface. */
  async send(person: Person, message: object): Promise<Reply[]> {
    const replies = await allOf(this.dispatch(this.caller(person), message));
    const { method } = message as { readonly method?: unknown };
    for (const reply of replies) if (typeof method === 'string') checkReply(method, reply);
    return replies;
  }

  /** Calls a method of the interface and returns its only reply. */
  async call(person: Person, name: MethodName, parameters: object = {}): Promise<Reply> {
    const [reply, ...others] = await this.send(person, { method: `${INTERFACE_NAME}.${name}`, parameters });
    assert.ok(reply !== undefined && others.length === 0);
    return reply;
  }

  /** Calls a method that must succeed. */
  async ask<Name extends MethodName>(
    person: Person,
    name: Name,
    parameters: Methods[Name]['in'],
  ): Promise<Methods[Name]['out']> {
    const reply = await this.call(person, name, parameters);
    assert.equal(reply.error, undefined, `${name}: ${JSON.stringify(reply)}`);
    return reply.parameters as Methods[Name]['out'];
  }

  /** Calls a method that must be refused, and returns the name of the error and its fields. */
  async refusal<Name extends MethodName>(
    person: Person,
    name: Name,
    parameters: Methods[Name]['in'],
  ): Promise<readonly [error: string, fields: object]> {
    const { error, parameters: fields = {} } = await this.call(person, name, parameters);
    assert.ok(error !== undefined, `${name} is not refused`);
    return [error.replace(`${INTERFACE_NAME}.`, ''), fields];
  }

  /** Stores new credentials as one generation, and returns its number. Names without values get any values. */
  async create(person: Person, ...credentials: readonly (string | NewCredential)[]): Promise<number> {
    const list = credentials.map((given) =>
      typeof given === 'string' ? { name: given, value: anyValue(given) } : given,
    );
    return (await this.ask(person, 'Create', { credentials: list })).generation;
  }

  /** Stores a new version. */
  async replace(person: Person, name: string, value: string, owner?: number): Promise<number> {
    const parameters = { credentials: [{ name, value }], replace: true, ...(owner === undefined ? {} : { owner }) };
    return (await this.ask(person, 'Create', parameters)).generation;
  }

  /** Returns a value as text, as read by this person. */
  async value(person: Person, name: string, owner?: number): Promise<string | null | undefined> {
    return (await this.ask(person, 'Get', owner === undefined ? { name } : { name, owner })).value;
  }
}

/** Opens a store with a key file, and makes them if there are none. It is closed when the scope ends. */
export async function startCore(scope: Scope, options: CoreOptions = {}): Promise<Core> {
  // Clean-ups run in the order in which they are added: the store is closed before its directory is removed.
  let opened: Vault | undefined;
  scope.after(() => opened?.close());
  const directory = options.directory ?? join(memoryDirectory(scope), 'state');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const sodium = await Sodium.load();
  const store = new CountingStore(SqliteStore.open(storePathIn(directory)));
  const places = { stateDirectory: directory, credentialsDirectory: options.credentialsDirectory };
  if (isEmptyStore(store)) {
    await fillNewStore(
      store,
      sodium,
      async (storeId, rootKey) => (await createFirstSlot(sodium, storeId, rootKey, places, START_TIME)).slot,
    );
  }
  opened = new Vault(store, sodium, {
    onPurgeFailed: () => undefined,
    onPurged: () => undefined,
    onCommitsAgain: () => undefined,
    onWatcherFailed(error) {
      throw error;
    },
  });
  const core = new Core(sodium, store, opened, places);
  await core.slots.unlockUnattended();
  return core;
}

/** Closes a store and opens it again; `meanwhile` can use its file. */
export async function restartCore(scope: Scope, core: Core, meanwhile: () => void = () => undefined): Promise<Core> {
  await core.vault.close();
  meanwhile();
  return startCore(scope, { directory: core.directory });
}

/** Returns a value that is valid for the field in a name. */
export function anyValue(name: string): string {
  if (name.endsWith('_backup_repo')) return 's3:https://s3.amazonaws.com/backup-123';
  return name.endsWith('_provider') ? 's3' : `value-of-${name}`;
}

function storePathIn(directory: string): string {
  return join(directory, 'credentials.db');
}

async function allOf(answer: Answer): Promise<Reply[]> {
  if (answer === undefined) return [];
  if (answer instanceof Promise) return [await answer].filter((reply) => reply !== undefined);
  if (!(Symbol.asyncIterator in answer)) return [answer];
  const replies: Reply[] = [];
  for await (const reply of answer) replies.push(reply);
  return replies;
}
