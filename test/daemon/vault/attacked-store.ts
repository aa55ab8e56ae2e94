import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type Database from 'better-sqlite3';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { Kind } from '../../../daemon/store/sealed-store.ts';
import { VERSIONS_KEPT } from '../../../daemon/methods/save-version.ts';
import { INLINE_BYTES_MAX } from '../../../daemon/vault/records.ts';
import { epochTag } from '../../../daemon/vault/data-key.ts';
import type { Problem } from '../../../src/protocol/interface.generated.ts';
import type { Scope } from '../../support/scope.ts';
import { memoryDirectory } from './memory-directory.ts';
import { STORE_FILE, TestVault } from './open-vault.ts';
import { deleteRow, editFile, newRows, putRow, rowsOf } from './raw-file.ts';
import type { Row } from './raw-file.ts';

/** What an attacker without a key knows of a store if they saw its file after every commit. */
export class History {
  readonly #directory: string;
  readonly #commits: ReadonlyMap<string, readonly Row[]>;

  constructor(directory: string, commits: ReadonlyMap<string, readonly Row[]>) {
    this.#directory = directory;
    this.#commits = commits;
  }

  /** Returns the row of a kind that a commit wrote. */
  row(commit: string, kind: Kind): Row {
    return this.#commits.get(commit)?.find((one) => one.kind === kind) ?? assert.fail(`no such row: ${commit}`);
  }

  /**
   * Opens the store as it is at the end of the history, in a directory of its own, after `edit` has changed its file.
   */
  async opened(scope: Scope, edit?: Attack['edit']): Promise<TestVault> {
    const directory = memoryDirectory(scope);
    for (const name of [STORE_FILE, 'root.key']) {
      fs.copyFileSync(path.join(this.#directory, name), path.join(directory, name));
    }
    if (edit !== undefined) editFile(path.join(directory, STORE_FILE), (database) => edit(database, this));
    return TestVault.open(scope, directory);
  }
}

/** A value that is too large to lie in the record of its credential. */
export function large(value: string): string {
  return value.padEnd(INLINE_BYTES_MAX + 1, '.');
}

/** The current values at the end of the history. */
export const CURRENT: Readonly<Record<string, string>> = {
  'system/rotated': large('rotated 3'),
  'system/plain': large('plain 1'),
  'system/again': large('again, anew'),
  'system/often': large(`often ${VERSIONS_KEPT + 1}`),
  'uid:7/only': large('only 1'),
  'uid:5/mine': large('mine 2'),
  'uid:5/other': large('other 1'),
  'system/small': 'small 3',
  'system/shrunk': 'shrunk 2',
  'system/solo': 'solo 1',
  'system/one': 'one',
  'system/two': 'two',
  'system/three': 'three',
  'uid:6/pocket': 'pocket 2',
};

/** Makes a store with a history: rotated values, a credential that was removed and made again, a revoked grant. */
export async function storeWithPast(scope: Scope): Promise<History> {
  const made = await TestVault.create(scope);
  const commits = new Map<string, Row[]>();
  let last = rowsOf(made.path);
  const committed = async (name: string, work: Promise<unknown>): Promise<void> => {
    await work;
    const rows = rowsOf(made.path);
    commits.set(name, newRows(last, rows));
    last = rows;
  };
  const grants = ['plain', 'rotated'].map((target) => ({ space: 'system', kind: 'name', target }) as const);
  const [plain = assert.fail(), rotated = assert.fail()] = grants;
  await committed('rotated 1', made.save('rotated', large('rotated 1')));
  await committed('rotated 2', made.save('rotated', large('rotated 2')));
  await committed('rotated 3', made.save('rotated', large('rotated 3')));
  await committed('again, before', made.save('again', large('again, before')));
  await committed('again, newer', made.save('again', large('again, newer')));
  await committed('again, removed', made.remove('again'));
  await committed('again, anew', made.save('again', large('again, anew')));
  for (let version = 1; version <= VERSIONS_KEPT + 1; version += 1) {
    await committed(`often ${version}`, made.save('often', large(`often ${version}`)));
  }
  for (const value of ['small 1', 'small 2', 'small 3']) await committed(value, made.save('small', value));
  await committed('shrunk 1', made.save('shrunk', large('shrunk 1')));
  await committed('shrunk 2', made.save('shrunk', 'shrunk 2'));
  await committed('gone, before', made.save('gone', 'gone, before'));
  await committed('gone, removed', made.remove('gone'));
  await committed('together', made.saveAll(['one', 'two', 'three']));
  await committed('solo 1', made.save('solo', 'solo 1'));
  await committed('plain 1', made.save('plain', large('plain 1')));
  await committed('granted', made.grant('gid:9', plain, rotated));
  await committed('revoked', made.revoke('gid:9', plain));
  await committed('only 1', made.save('only', large('only 1'), 'uid:7'));
  await committed('mine 1', made.save('mine', large('mine 1'), 'uid:5'));
  await committed('other 1', made.save('other', large('other 1'), 'uid:5'));
  await committed('mine 2', made.save('mine', large('mine 2'), 'uid:5'));
  await committed('dropped, before', made.save('dropped', 'dropped, before', 'uid:6'));
  await committed('dropped, removed', made.remove('dropped', 'uid:6'));
  await committed('pocket 1', made.save('pocket', 'pocket 1', 'uid:6'));
  await committed('pocket 2', made.save('pocket', 'pocket 2', 'uid:6'));
  await made.close();
  return new History(made.directory, commits);
}

/** One change to the file, and the problems that a check reports for it. */
export interface Attack {
  readonly edit: (database: Database.Database, history: History) => void;
  /** Without their `detail`. */
  readonly problems: readonly Partial<Problem>[];
  /** Credentials that are lost, or older than before: nothing left in the file can show their newest value. */
  readonly lost?: readonly string[];
  /** Credentials that were removed, and are served again until the store is repaired. */
  readonly servedAgain?: readonly string[];
}

const garbage = (kind: number, tag: Uint8Array): Row => ({ kind, tag: Buffer.from(tag), body: randomBytes(296) });

function flip(database: Database.Database, row: Row, at: number): void {
  const body = Buffer.from(row.body);
  const index = at < 0 ? body.length + at : at;
  body.writeUInt8(body.readUInt8(index) ^ 0x10, index);
  putRow(database, { ...row, body });
}

function swap(database: Database.Database, a: Row, b: Row): void {
  putRow(database, { ...a, body: b.body });
  putRow(database, { ...b, body: a.body });
}

/** Attacks on single rows. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  'deletes the current value': {
    edit: (database, history) => deleteRow(database, history.row('rotated 3', KIND.value)),
    problems: [{ what: 'missing', name: 'rotated', version: 3 }, { what: 'missing' }],
    lost: ['system/rotated'],
  },
  'deletes an older value': {
    edit: (database, history) => deleteRow(database, history.row('rotated 1', KIND.value)),
    problems: [{ what: 'missing', name: 'rotated', version: 1 }, { what: 'missing' }],
  },
  "deletes an older value of a user's credential": {
    edit: (database, history) => deleteRow(database, history.row('mine 1', KIND.value)),
    problems: [{ what: 'missing', name: 'mine', version: 1 }, { what: 'missing' }],
  },
  'deletes the record of a credential': {
    edit: (database, history) => deleteRow(database, history.row('plain 1', KIND.credential)),
    problems: [{ what: 'missing', name: 'plain' }, { what: 'missing', name: 'plain', version: 1 }, { what: 'missing' }],
    lost: ['system/plain'],
  },
  "deletes a user's credential with its values": {
    edit: (database, history) => {
      for (const commit of ['mine 1', 'mine 2']) deleteRow(database, history.row(commit, KIND.value));
      deleteRow(database, history.row('mine 2', KIND.credential));
    },
    problems: [{ what: 'missing', name: 'mine' }, { what: 'missing' }],
    lost: ['uid:5/mine'],
  },
  'deletes the only credential of a user': {
    edit: (database, history) => {
      for (const kind of [KIND.value, KIND.credential]) deleteRow(database, history.row('only 1', kind));
    },
    problems: [{ what: 'missing', name: 'only' }, { what: 'missing' }],
    lost: ['uid:7/only'],
  },
  'deletes a shared credential with its values': {
    edit: (database, history) => {
      for (const kind of [KIND.value, KIND.credential]) deleteRow(database, history.row('plain 1', kind));
    },
    problems: [{ what: 'missing', name: 'plain' }, { what: 'missing' }],
    lost: ['system/plain'],
  },
  'deletes the principal record of a user': {
    edit: (database, history) => deleteRow(database, history.row('mine 2', KIND.principal)),
    problems: [{ what: 'missing' }, { what: 'missing' }],
  },
  'deletes a list of grants': {
    edit: (database, history) => deleteRow(database, history.row('revoked', KIND.principal)),
    problems: [{ what: 'missing' }],
  },
  'deletes the head': {
    edit: (database) => deleteRow(database, { kind: KIND.head, tag: Buffer.from('head') }),
    problems: [{ what: 'head' }],
  },
  'puts an older head back': {
    edit: (database, history) => putRow(database, history.row('granted', KIND.head)),
    problems: [{ what: 'added' }],
  },
  'changes a bit of the head': {
    edit: (database, history) => flip(database, history.row('mine 2', KIND.head), 100),
    problems: [{ what: 'head' }],
  },
  'changes a bit of the current value': {
    edit: (database, history) => flip(database, history.row('rotated 3', KIND.value), 100),
    problems: [{ what: 'record', name: 'rotated', version: 3 }],
    lost: ['system/rotated'],
  },
  "changes a bit of the current value of a user's credential": {
    edit: (database, history) => flip(database, history.row('mine 2', KIND.value), 100),
    problems: [{ what: 'record', name: 'mine', version: 2 }],
    lost: ['uid:5/mine'],
  },
  'changes a bit of the nonce of a value': {
    edit: (database, history) => flip(database, history.row('plain 1', KIND.value), 0),
    problems: [{ what: 'record', name: 'plain', version: 1 }, { what: 'head' }],
    lost: ['system/plain'],
  },
  'changes a bit of the authenticator of a value': {
    edit: (database, history) => flip(database, history.row('rotated 2', KIND.value), -1),
    problems: [{ what: 'record', name: 'rotated', version: 2 }, { what: 'head' }],
  },
  'changes a bit of the record of a credential': {
    edit: (database, history) => flip(database, history.row('plain 1', KIND.credential), 60),
    problems: [{ what: 'record' }, { what: 'missing', name: 'plain' }, { what: 'missing', name: 'plain', version: 1 }],
    lost: ['system/plain'],
  },
  'changes a bit of the principal record of a user': {
    edit: (database, history) => flip(database, history.row('mine 2', KIND.principal), 60),
    problems: [{ what: 'record' }],
  },
  'changes a bit of the principal record of the shared space': {
    edit: (database, history) => flip(database, history.row('plain 1', KIND.principal), 60),
    problems: [{ what: 'record' }],
  },
  'empties a value': {
    edit: (database, history) => putRow(database, { ...history.row('plain 1', KIND.value), body: Buffer.of() }),
    problems: [{ what: 'record', name: 'plain', version: 1 }, { what: 'head' }],
    lost: ['system/plain'],
  },
  'makes a value ten megabytes long': {
    edit: (database, history) =>
      putRow(database, { ...history.row('plain 1', KIND.value), body: Buffer.alloc(10_000_000) }),
    problems: [{ what: 'record', name: 'plain', version: 1 }, { what: 'head' }],
    lost: ['system/plain'],
  },
  'swaps the values of two credentials': {
    edit: (database, history) =>
      swap(database, history.row('plain 1', KIND.value), history.row('again, anew', KIND.value)),
    problems: [
      { what: 'record', name: 'again', version: 1 },
      { what: 'record', name: 'plain', version: 1 },
      { what: 'head' },
    ],
    lost: ['system/plain', 'system/again'],
  },
  'swaps the values of two versions': {
    edit: (database, history) =>
      swap(database, history.row('rotated 1', KIND.value), history.row('rotated 3', KIND.value)),
    problems: [
      { what: 'record', name: 'rotated', version: 1 },
      { what: 'record', name: 'rotated', version: 3 },
      { what: 'head' },
    ],
    lost: ['system/rotated'],
  },
  'swaps the records of two credentials': {
    edit: (database, history) =>
      swap(database, history.row('plain 1', KIND.credential), history.row('rotated 3', KIND.credential)),
    problems: [
      { what: 'record' },
      { what: 'record' },
      { what: 'missing', name: 'plain' },
      { what: 'missing', name: 'rotated' },
      { what: 'missing', name: 'plain', version: 1 },
      { what: 'missing', name: 'rotated', version: 1 },
      { what: 'missing', name: 'rotated', version: 2 },
      { what: 'missing', name: 'rotated', version: 3 },
      { what: 'head' },
    ],
    lost: ['system/plain', 'system/rotated'],
  },
  'swaps the principal records of two owners': {
    edit: (database, history) =>
      swap(database, history.row('plain 1', KIND.principal), history.row('mine 2', KIND.principal)),
    problems: [{ what: 'record' }, { what: 'record' }, { what: 'head' }],
  },
  'puts a value in the place of a record': {
    edit: (database, history) =>
      putRow(database, { ...history.row('plain 1', KIND.credential), body: history.row('plain 1', KIND.value).body }),
    problems: [
      { what: 'record' },
      { what: 'missing', name: 'plain' },
      { what: 'missing', name: 'plain', version: 1 },
      { what: 'head' },
    ],
    lost: ['system/plain'],
  },
  'copies a value to another version of its credential': {
    edit: (database, history) =>
      putRow(database, { ...history.row('rotated 3', KIND.value), body: history.row('rotated 1', KIND.value).body }),
    problems: [{ what: 'record', name: 'rotated', version: 3 }, { what: 'head' }],
    lost: ['system/rotated'],
  },
  'puts the older record of a rotated credential back': {
    edit: (database, history) => putRow(database, history.row('rotated 2', KIND.credential)),
    problems: [{ what: 'record', name: 'rotated', version: 3 }, { what: 'head' }],
    lost: ['system/rotated'],
  },
  'puts the oldest record of a rotated credential back': {
    edit: (database, history) => putRow(database, history.row('rotated 1', KIND.credential)),
    problems: [
      { what: 'record', name: 'rotated', version: 2 },
      { what: 'record', name: 'rotated', version: 3 },
      { what: 'head' },
    ],
    lost: ['system/rotated'],
  },
  "puts the older record of a user's credential back": {
    edit: (database, history) => putRow(database, history.row('mine 1', KIND.credential)),
    problems: [{ what: 'record', name: 'mine', version: 2 }, { what: 'head' }],
    lost: ['uid:5/mine'],
  },
  'puts an older record back and deletes the newer value': {
    edit: (database, history) => {
      putRow(database, history.row('rotated 2', KIND.credential));
      deleteRow(database, history.row('rotated 3', KIND.value));
    },
    problems: [{ what: 'missing' }],
    lost: ['system/rotated'],
  },
  'puts the oldest record back and deletes its value': {
    edit: (database, history) => {
      putRow(database, history.row('rotated 1', KIND.credential));
      deleteRow(database, history.row('rotated 1', KIND.value));
    },
    problems: [
      { what: 'missing', name: 'rotated', version: 1 },
      { what: 'record', name: 'rotated', version: 2 },
      { what: 'record', name: 'rotated', version: 3 },
      { what: 'missing' },
    ],
    lost: ['system/rotated'],
  },
  'puts an older record back and deletes the value before': {
    edit: (database, history) => {
      putRow(database, history.row('rotated 2', KIND.credential));
      deleteRow(database, history.row('rotated 1', KIND.value));
    },
    problems: [
      { what: 'missing', name: 'rotated', version: 1 },
      { what: 'record', name: 'rotated', version: 3 },
      { what: 'missing' },
    ],
    lost: ['system/rotated'],
  },
  'puts the value of a removed credential back': {
    edit: (database, history) => putRow(database, history.row('again, before', KIND.value)),
    problems: [{ what: 'added', name: 'again', version: 1 }, { what: 'added' }],
  },
  'puts a later value of a removed credential back': {
    edit: (database, history) => putRow(database, history.row('again, newer', KIND.value)),
    problems: [{ what: 'added', name: 'again', version: 2 }, { what: 'added' }],
  },
  'puts a version back that newer ones have displaced': {
    edit: (database, history) => putRow(database, history.row('often 1', KIND.value)),
    problems: [{ what: 'added', name: 'often', version: 1 }, { what: 'added' }],
  },
  'puts a removed credential back with its value': {
    edit: (database, history) => {
      putRow(database, history.row('again, before', KIND.credential));
      putRow(database, history.row('again, before', KIND.value));
    },
    problems: [
      { what: 'missing' },
      { what: 'record', name: 'again' },
      { what: 'added', name: 'again', version: 1 },
      { what: 'added' },
    ],
    lost: ['system/again'],
  },
  'puts a removed credential back in the place of the new one': {
    edit: (database, history) => {
      putRow(database, history.row('again, before', KIND.credential));
      putRow(database, history.row('again, before', KIND.value));
      deleteRow(database, history.row('again, anew', KIND.value));
    },
    problems: [{ what: 'missing' }, { what: 'record', name: 'again' }, { what: 'head' }],
    lost: ['system/again'],
  },
  'puts a grant back that was revoked': {
    edit: (database, history) => putRow(database, history.row('granted', KIND.principal)),
    problems: [{ what: 'head' }],
  },
  'puts the older principal record of a user back': {
    edit: (database, history) => putRow(database, history.row('mine 1', KIND.principal)),
    problems: [{ what: 'record' }, { what: 'head' }],
  },
  'deletes a credential that holds its value inline': {
    edit: (database, history) => deleteRow(database, history.row('pocket 2', KIND.credential)),
    problems: [
      { what: 'missing', name: 'pocket' },
      { what: 'missing', name: 'pocket', version: 1 },
      { what: 'missing' },
    ],
    lost: ['uid:6/pocket'],
  },
  'deletes a shared credential that holds its value inline': {
    edit: (database, history) => deleteRow(database, history.row('solo 1', KIND.credential)),
    problems: [{ what: 'missing', name: 'solo' }, { what: 'missing' }],
    lost: ['system/solo'],
  },
  'changes a bit of a credential that holds its value inline': {
    edit: (database, history) => flip(database, history.row('small 3', KIND.credential), 100),
    problems: [
      { what: 'record' },
      { what: 'missing', name: 'small' },
      { what: 'missing', name: 'small', version: 1 },
      { what: 'missing', name: 'small', version: 2 },
    ],
    lost: ['system/small'],
  },
  'puts an older credential with its inline value back': {
    edit: (database, history) => putRow(database, history.row('small 2', KIND.credential)),
    problems: [{ what: 'record', name: 'small', version: 2 }, { what: 'head' }],
    lost: ['system/small'],
  },
  'puts the oldest credential with its inline value back': {
    edit: (database, history) => putRow(database, history.row('small 1', KIND.credential)),
    problems: [
      { what: 'record', name: 'small', version: 1 },
      { what: 'record', name: 'small', version: 2 },
      { what: 'head' },
    ],
    lost: ['system/small'],
  },
  'puts a large value back in the place of a small one': {
    edit: (database, history) => putRow(database, history.row('shrunk 1', KIND.credential)),
    problems: [{ what: 'record', name: 'shrunk', version: 2 }, { what: 'head' }],
    lost: ['system/shrunk'],
  },
  'puts a removed credential back that holds its value inline': {
    edit: (database, history) => putRow(database, history.row('gone, before', KIND.credential)),
    problems: [{ what: 'added', name: 'gone' }, { what: 'added' }],
    servedAgain: ['system/gone'],
  },
  'puts a removed credential back, and deletes something else': {
    edit: (database, history) => {
      putRow(database, history.row('gone, before', KIND.credential));
      deleteRow(database, history.row('rotated 1', KIND.value));
    },
    problems: [{ what: 'missing' }, { what: 'missing', name: 'rotated', version: 1 }, { what: 'head' }],
  },
  "puts a user's removed credential back": {
    edit: (database, history) => putRow(database, history.row('dropped, before', KIND.credential)),
    problems: [{ what: 'added', name: 'dropped' }, { what: 'added' }],
    servedAgain: ['uid:6/dropped'],
  },
  'puts all removed credentials back that have their values, and the value of another': {
    edit: (database, history) => {
      for (const commit of ['gone, before', 'dropped, before']) putRow(database, history.row(commit, KIND.credential));
      putRow(database, history.row('again, before', KIND.value));
    },
    problems: [
      { what: 'added', name: 'again', version: 1 },
      { what: 'added', name: 'gone' },
      { what: 'added', name: 'dropped' },
      { what: 'added' },
    ],
    servedAgain: ['system/gone', 'uid:6/dropped'],
  },
  'deletes a list of names': {
    edit: (database, history) => deleteRow(database, history.row('together', KIND.names)),
    problems: [{ what: 'missing' }, { what: 'missing' }],
  },
  'changes a bit of a list of names': {
    edit: (database, history) => flip(database, history.row('together', KIND.names), 60),
    problems: [{ what: 'record' }],
  },
  'puts a list of names in the place of another': {
    edit: (database, history) =>
      putRow(database, { ...history.row('together', KIND.names), body: history.row('small 1', KIND.names).body }),
    problems: [{ what: 'record' }, { what: 'head' }],
  },
  'puts a list of names of a removed credential back': {
    edit: (database, history) => putRow(database, history.row('gone, before', KIND.names)),
    problems: [{ what: 'missing', name: 'gone' }, { what: 'added' }],
  },
  'adds a slot record without a valid slot': {
    edit: (database) => putRow(database, garbage(KIND.slot, Buffer.from('ffffffff'))),
    problems: [{ what: 'record' }, { what: 'added' }],
  },
  'adds a data key of a later epoch': {
    edit: (database) => putRow(database, garbage(KIND.dataKey, epochTag(7))),
    problems: [{ what: 'added' }, { what: 'added' }],
  },
  'adds a second store id': {
    edit: (database) => putRow(database, garbage(KIND.store, Buffer.from('store2'))),
    problems: [{ what: 'added' }, { what: 'added' }],
  },
  'adds records that no owner refers to': {
    edit: (database) => {
      for (const kind of [KIND.principal, KIND.credential, KIND.value])
        putRow(database, garbage(kind, randomBytes(16)));
    },
    problems: [{ what: 'record' }, { what: 'record' }, { what: 'record' }, { what: 'added' }],
  },
  'adds records with tags of the wrong length': {
    edit: (database) => {
      for (const kind of [KIND.principal, KIND.credential, KIND.value]) {
        for (const bytes of [0, 1, 15, 17, 200]) putRow(database, garbage(kind, Buffer.alloc(bytes)));
      }
    },
    problems: [...Array.from({ length: 15 }, () => ({ what: 'record' as const })), { what: 'added' }],
  },
};

/** Returns the edit of an attack. @throws AssertionError if there is no attack of that name */
export function attack(name: string): Attack['edit'] {
  const found = ATTACKS[name];
  assert.ok(found !== undefined, `no such attack: ${name}`);
  return found.edit;
}
