import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isCredentialError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import type { Errors } from '../../../src/protocol/interface.generated.ts';
import { KIND, StoreError, fixedTag } from '../../../daemon/store/sealed-store.ts';
import type { Kind, SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { createKeyFile } from '../../../daemon/vault/key-file.ts';
import type { VaultReader } from '../../../daemon/vault/reader.ts';
import { prepareReplacement } from '../../../daemon/vault/replace.ts';
import { makeSlot } from '../../../daemon/vault/slots.ts';
import { LAST_FLUSH_MS } from '../../../daemon/vault/write-queue.ts';
import { eventually } from '../../support/eventually.ts';
import { skipUnless } from '../../support/requirements.ts';
import { commitsInWal } from '../../torture/damage/wal.ts';
import { leaveRoom, makeReadOnly, mounting, smallDisk } from '../store/small-disk.ts';
import { memoryDirectory } from './memory-directory.ts';
import { STORE_FILE, TestVault, valueOf } from './open-vault.ts';
import { deleteRow, editFile, newRows, putRow, rowsOf } from './raw-file.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;

function refused<Code extends ErrorCode>(code: Code, fields?: Errors[Code]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isCredentialError(error, code), String(error));
    if (fields !== undefined) assert.deepEqual(error.fields, fields);
    return true;
  };
}

function keysHeld({ sodium }: TestVault): boolean {
  return sodium.memory[0]?.some((byte) => byte !== 0) ?? false;
}

function statuses(results: readonly PromiseSettledResult<unknown>[]): string {
  return results.map(({ status }) => (status === 'fulfilled' ? '+' : '-')).join('');
}

describe('Vault.unlock()', () => {
  it('refuses a root key of another store, and keeps nothing of it', async (t) => {
    const made = await TestVault.create(t);
    await made.close();
    const opened = await TestVault.openLocked(t, made.directory);
    for (let attempt = 0; attempt < 200; attempt += 1) {
      assert.throws(() => opened.vault.unlock(opened.sodium.newKey()), refused('Damaged'));
    }
    assert.ok(opened.vault.isLocked);
    assert.ok(!keysHeld(opened));
  });

  it('releases the keys of a store that it cannot read, however often it is tried', async (t) => {
    const made = await TestVault.create(t);
    const rootKey = Uint8Array.from(made.vault.unlocked().rootKey);
    await made.close();
    const opened = await TestVault.openLocked(t, made.directory);
    opened.store.close();
    for (let attempt = 0; attempt < 200; attempt += 1) {
      assert.throws(() => opened.vault.unlock(opened.sodium.copyKey(rootKey)));
    }
    assert.ok(!keysHeld(opened));
  });

  it('releases the keys of a partly readable store, and unlocks it once it is readable', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const rootKey = Uint8Array.from(made.vault.unlocked().rootKey);
    await made.vault.lock();
    const failing = t.mock.method(made.store, 'get', (kind: Kind, tag: Uint8Array) => {
      if (kind === KIND.head) throw new StoreError('io', 'by the test');
      return SqliteStore.prototype.get.call(made.store, kind, tag);
    });
    for (let attempt = 0; attempt < 50; attempt += 1) {
      assert.throws(() => made.vault.unlock(made.sodium.copyKey(rootKey)), refused('StorageFailed'));
    }
    assert.ok(made.vault.isLocked);
    assert.ok(!keysHeld(made));
    failing.mock.restore();
    made.vault.unlock(made.sodium.copyKey(rootKey));
    assert.equal(made.value('a'), 'value');
  });

  it('succeeds even if a watcher throws', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    await made.vault.lock();
    const forget = made.vault.watch(() => {
      throw new RangeError('a defect of a watcher');
    });
    assert.ok((await made.slots.unlockUnattended()).opened !== undefined);
    forget();
    assert.ok(made.watcherFailures[0] instanceof RangeError);
    assert.equal(made.value('a'), 'value');
    await made.save('b', 'other');
    assert.equal((await made.reopened()).value('b'), 'other');
  });

  it('changes nothing if the store is unlocked already', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    made.vault.unlock(made.sodium.newKey());
    assert.equal(made.value('a'), 'value');
    await made.save('b', 'value');
    assert.deepEqual((await made.reopened()).value('b'), 'value');
  });
});

describe('Vault.scan()', () => {
  it('reads the last commit, neither from the read cache nor into it', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const get = t.mock.method(made.store, 'get');
    const look = (reader: VaultReader): unknown => reader.credential('system', 'a')?.name;
    for (const [reads, how] of [
      [1, 'scan'],
      [2, 'scan'],
      [3, 'read'],
      [3, 'read'],
      [4, 'scan'],
    ] as const) {
      assert.equal(made.vault[how](look), 'a');
      assert.equal(get.mock.callCount(), reads);
    }
    await made.vault.lock();
    assert.throws(
      () => made.vault.scan(look),
      (error) => isCredentialError(error, 'Locked'),
    );
  });
});

describe('Vault.lock()', () => {
  it('leaves no key in memory, nor the pads of masked values', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    for (let read = 0; read < 3; read += 1) assert.equal(made.value('a'), 'value');
    assert.ok(keysHeld(made));
    assert.ok(made.sodium.masked.memory.some((memory) => memory.some((byte) => byte !== 0)));
    await made.vault.lock();
    assert.ok(!keysHeld(made));
    for (const memory of made.sodium.memory) assert.ok(memory.every((byte) => byte === 0));
  });

  it('refuses later calls, but completes earlier ones', async (t) => {
    const made = await TestVault.create(t);
    const before = made.save('a', 'value');
    const locking = made.vault.lock();
    const after = made.save('b', 'value');
    assert.equal(await before, 1);
    await locking;
    await assert.rejects(after, refused('Locked'));
    assert.throws(() => made.value('a'), refused('Locked'));
    await assert.rejects(made.fsck(), refused('Locked'));
    await assert.rejects(made.rekey(), refused('Locked'));
    await made.slots.unlockUnattended();
    assert.deepEqual([made.value('a'), made.value('b')], ['value', undefined]);
  });

  it('waits for a running rekey', async (t) => {
    const made = await TestVault.create(t);
    await Promise.all(Array.from({ length: 300 }, (_, index) => made.save(`a${index}`, 'value')));
    const rekeying = made.rekey();
    await made.vault.lock();
    assert.equal((await rekeying).keyEpoch, 2);
    assert.ok(!keysHeld(made));
    await made.slots.unlockUnattended();
    assert.equal(made.value('a7'), 'value');
  });
});

describe('Vault.replace()', () => {
  it('locks the store if the new contents cannot be decrypted, and notifies watchers', async (t) => {
    const made = await TestVault.create(t);
    const heard: boolean[] = [];
    made.vault.watch(() => void heard.push(made.vault.isLocked));
    const rootKey = made.sodium.copyKey(made.vault.unlocked().rootKey);
    const replacing = made.vault.replace(rootKey, (store) => {
      const transaction = store.begin(store.get(KIND.head, fixedTag('head')));
      for (const { tag } of store.list(KIND.dataKey, undefined, 1)) transaction.delete(KIND.dataKey, tag);
      return Promise.resolve(transaction);
    });
    await assert.rejects(replacing, refused('Damaged'));
    assert.deepEqual(heard, [true]);
    assert.ok(!keysHeld(made));
  });
});

describe('Vault.replace() with another store', () => {
  it('commits earlier writes to the old contents, and those made meanwhile to the new ones', async (t) => {
    const [made, other] = [await TestVault.create(t), await TestVault.create(t)];
    await other.save('a', 'of the other');
    const rootKey = made.sodium.copyKey(other.vault.unlocked().rootKey);
    await Promise.all([
      made.save('a', 'before'),
      made.vault.replace(rootKey, (store) => prepareReplacement(store, other.store, other.vault.unlocked())),
      made.save('b', 'after'),
    ]);
    assert.deepEqual([made.value('a'), made.value('b')], ['of the other', 'after']);
    assert.deepEqual((await made.fsck()).problems, []);
  });

  it('leaves the store unchanged and usable if the other store cannot be read to its end', async (t) => {
    const [made, other] = [await TestVault.create(t), await TestVault.create(t)];
    await made.save('a', 'value');
    const rows = rowsOf(made.path);
    t.mock.method(other.store, 'list', (...given: Parameters<SqliteStore['list']>) => {
      if (given[0] === KIND.value) throw new StoreError('io', 'by the test');
      return SqliteStore.prototype.list.apply(other.store, given);
    });
    const rootKey = made.sodium.copyKey(other.vault.unlocked().rootKey);
    const keys = other.vault.unlocked();
    const replacing = made.vault.replace(rootKey, (store) => prepareReplacement(store, other.store, keys));
    await assert.rejects(replacing, refused('StorageFailed'));
    assert.deepEqual(rowsOf(made.path), rows);
    await made.save('a', 'new');
    assert.deepEqual([made.value('a'), (await made.fsck()).problems], ['new', []]);
  });

  it('leaves the store unchanged if a record of the other store is read wrongly, or not at all', async (t) => {
    const [made, other] = [await TestVault.create(t), await TestVault.create(t)];
    await made.save('a', 'value');
    await other.save('a', 'of the other');
    const rows = rowsOf(made.path);
    for (const misread of [flippedBodies, (): SealedRecord[] => []]) {
      for (const kind of Object.values(KIND)) {
        const records = other.store.list(kind, undefined, 1);
        if (records.length === 0 || (kind === KIND.head && misread(records).length === 0)) continue;
        const list = t.mock.method(other.store, 'list', (...given: Parameters<SqliteStore['list']>) => {
          const found = SqliteStore.prototype.list.apply(other.store, given);
          return given[0] === kind ? misread(found) : found;
        });
        const rootKey = made.sodium.copyKey(other.vault.unlocked().rootKey);
        const keys = other.vault.unlocked();
        const replacing = made.vault.replace(rootKey, (store) => prepareReplacement(store, other.store, keys));
        await assert.rejects(replacing, refused('BadCopy', { reason: 'damaged' }), `kind ${kind}`);
        list.mock.restore();
      }
    }
    assert.deepEqual(rowsOf(made.path), rows);
    assert.deepEqual([made.value('a'), (await made.fsck()).problems], ['value', []]);
  });

  it('releases the key of contents that it could not take, however often it is tried', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const rootKey = Uint8Array.from(made.vault.unlocked().rootKey);
    for (let attempt = 0; attempt < 150; attempt += 1) {
      const replacing = made.vault.replace(made.sodium.copyKey(rootKey), () =>
        Promise.reject(new StoreError('full', 'by the test')),
      );
      await assert.rejects(replacing, refused('StorageFull'));
    }
    assert.equal(made.value('a'), 'value');
    await made.vault.lock();
    assert.ok(!keysHeld(made));
  });

  it('leaves a store that can be unlocked if the disk fails right after the commit', async (t) => {
    const [made, other] = [await TestVault.create(t), await TestVault.create(t)];
    await other.save('a', 'of the other');
    fs.copyFileSync(path.join(other.directory, 'root.key'), path.join(made.directory, 'root.key'));
    const rootKey = made.sodium.copyKey(other.vault.unlocked().rootKey);
    let isFailing = false;
    t.mock.method(made.store, 'get', (kind: Kind, tag: Uint8Array) => {
      if (isFailing) throw new StoreError('io', 'by the test');
      return SqliteStore.prototype.get.call(made.store, kind, tag);
    });
    const replacing = made.vault.replace(rootKey, async (store) => {
      const transaction = await prepareReplacement(store, other.store, other.vault.unlocked());
      const commit = (skipsCheckpoint?: boolean): void => {
        transaction.commit(skipsCheckpoint);
        isFailing = true;
      };
      return { ...transaction, commit };
    });
    await assert.rejects(replacing, refused('StorageFailed'));
    assert.ok(made.vault.isLocked);
    isFailing = false;
    assert.ok((await made.slots.unlockUnattended()).opened !== undefined);
    assert.equal(made.value('a'), 'of the other');
  });
});

describe('Vault.replace() and Vault.exclusive()', () => {
  it('yield to the event loop between the commit and the equally long purge', async (t) => {
    const made = await TestVault.create(t);
    for (const change of ['replace', 'rekey'] as const) {
      const seen: string[] = [];
      const watcher = made.vault.watch(() => void seen.push('told'));
      const begin = t.mock.method(made.store, 'begin', (head: Uint8Array | undefined) => {
        const transaction = SqliteStore.prototype.begin.call(made.store, head);
        const commit = (skipsCheckpoint?: boolean): void => {
          transaction.commit(skipsCheckpoint);
          seen.push(skipsCheckpoint === true ? 'committed, and nothing more' : 'committed');
          setImmediate(() => void seen.push('others'));
        };
        return { ...transaction, commit };
      });
      const purge = t.mock.method(made.store, 'purge', () => void seen.push('purged'));
      if (change === 'rekey') await made.rekey();
      else {
        const rootKey = made.sodium.copyKey(made.vault.unlocked().rootKey);
        await made.vault.replace(rootKey, (store) => prepareReplacement(store, store, made.vault.unlocked()));
      }
      const order = ['committed, and nothing more', 'others', 'purged'];
      assert.deepEqual(
        seen.filter((what) => what !== 'told'),
        order,
        change,
      );
      watcher();
      for (const mocked of [begin, purge]) mocked.mock.restore();
    }
  });
});

describe('Vault.write()', () => {
  it('commits the writes of one turn in one SQLite transaction, each with its own generation', async (t) => {
    // Whatever the time they take here: more than 50 ms of work would be split into several commits.
    t.mock.method(performance, 'now', () => 0);
    const made = await TestVault.create(t);
    const before = commitsInWal(made.path);
    const commits = made.vault.unlocked().head?.commits ?? 0;
    await Promise.all(Array.from({ length: 100 }, (_, index) => made.save(`a${index}`, `value ${index}`)));
    assert.equal(commitsInWal(made.path), before + 1);
    assert.equal(made.vault.unlocked().head?.commits, commits + 1);
    const generations = made.vault.read((reader) =>
      Array.from({ length: 100 }, (_, index) => reader.credential('system', `a${index}`)?.versions[0]?.generation),
    );
    assert.equal(new Set(generations).size, 100);
    assert.equal(made.vault.read((reader) => reader.principal('system'))?.count, 100);
    assert.deepEqual((await made.fsck()).problems, []);
  });

  it('commits the writes of two turns in two transactions', async (t) => {
    const made = await TestVault.create(t);
    const before = commitsInWal(made.path);
    await made.save('a', '1');
    await made.save('b', '1');
    assert.equal(commitsInWal(made.path), before + 2);
  });

  it('resolves once the write is in the file, and not before', async (t) => {
    const made = await TestVault.create(t);
    const before = rowsOf(made.path);
    const saving = made.save('a', 'value');
    const first = await Promise.race([saving, Promise.resolve('not yet')]);
    assert.deepEqual([first, newRows(before, rowsOf(made.path)).length], ['not yet', 0]);
    await saving;
    assert.deepEqual(
      newRows(before, rowsOf(made.path)).map(({ kind }) => kind),
      [1, 4, 5, 8],
    );
  });

  it('keeps nothing of a refused call, and all of the others', async (t) => {
    const made = await TestVault.create(t);
    const failing = (name: string): Promise<never> =>
      made.vault.write((writer) => {
        writer.putPrincipal({ principal: 'uid:7', generation: 7, count: 7, names: [name], bytes: 7, grants: [] });
        writer.generation('system');
        writer.deleteSlot(made.vault.slots()[0]?.id ?? '');
        throw new Error(`refused ${name}`);
      });
    const results = await Promise.allSettled([
      made.save('a', '1'),
      failing('x'),
      made.save('a', '2'),
      failing('y'),
      made.save('b', '1'),
    ]);
    assert.equal(statuses(results), '+-+-+');
    const opened = await made.reopened();
    assert.deepEqual([opened.value('a', 1), opened.value('a'), opened.value('b')], ['1', '2', '1']);
    assert.equal(
      opened.vault.read((reader) => reader.principal('uid:7')),
      undefined,
    );
    assert.equal(opened.vault.read((reader) => reader.principal('system'))?.generation, 3);
    assert.deepEqual((await opened.fsck()).problems, []);
  });

  it('lets a call see the earlier calls of the same turn', async (t) => {
    const made = await TestVault.create(t);
    const seen = await Promise.all([
      made.save('a', 'value'),
      made.vault.write((writer) => valueOf(writer, 'a')),
      made.remove('a'),
      made.vault.write((writer) => valueOf(writer, 'a')),
      made.save('a', 'again'),
      made.vault.write((writer) => valueOf(writer, 'a')),
    ]);
    assert.deepEqual(seen, [1, 'value', undefined, undefined, 1, 'again']);
    assert.equal((await made.reopened()).value('a'), 'again');
  });

  it('resolves a committed write even if a watcher throws, and notifies the other watchers', async (t) => {
    const made = await TestVault.create(t);
    const told: (string | undefined)[] = [];
    const hear = (): void => void made.vault.watch((change) => void told.push(change?.credentials[0]?.name));
    hear();
    made.vault.watch(() => {
      throw new RangeError('a defect of a watcher');
    });
    hear();
    assert.equal(await made.save('a', 'value'), 1);
    assert.deepEqual(told, ['a', 'a']);
    assert.deepEqual(
      made.watcherFailures.map((failure) => failure instanceof RangeError),
      [true],
    );
    await made.vault.lock();
    assert.ok(made.vault.isLocked);
  });

  it('commits nothing for calls that changed nothing', async (t) => {
    const made = await TestVault.create(t);
    const before = commitsInWal(made.path);
    await Promise.allSettled([
      made.remove('none'),
      made.vault.write(() => Promise.resolve()),
      made.vault.write(() => {
        throw new Error('refused');
      }),
    ]);
    assert.equal(commitsInWal(made.path), before);
  });

  it('refuses while the store is locked', async (t) => {
    const made = await TestVault.create(t);
    await made.vault.lock();
    await assert.rejects(made.save('a', 'value'), refused('Locked'));
  });

  it('counts the generations of each space separately', async (t) => {
    const made = await TestVault.create(t);
    for (const space of ['system', 'uid:1', 'system', 'uid:1', 'uid:1'] as const) await made.save('a', 'value', space);
    const generationOf = (space: 'system' | 'uid:1' | 'uid:2'): unknown =>
      made.vault.read((reader) => reader.principal(space)?.generation);
    assert.deepEqual([generationOf('system'), generationOf('uid:1'), generationOf('uid:2')], [2, 3, undefined]);
  });
});

describe('Vault.write() after a failed commit', () => {
  /** Makes a store on a small disk, with functions that fill the free space and release it. */
  async function onSmallDisk(t: TestContext): Promise<{ made: TestVault; fill: () => void; free: () => void }> {
    const disk = smallDisk(t, 1024);
    const made = await TestVault.create(t, disk);
    const filler = path.join(disk, 'filler');
    const fill = (): void => {
      const file = fs.openSync(filler, 'w');
      try {
        for (;;) fs.writeSync(file, new Uint8Array(4096));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      } finally {
        fs.closeSync(file);
      }
    };
    return { made, fill, free: () => fs.rmSync(filler) };
  }

  it(
    'refuses all writes with StorageFull, loses nothing, and goes on once there is room',
    { skip: skipUnless(mounting) },
    async (t) => {
      const { made, fill, free } = await onSmallDisk(t);
      await made.save('a', 'kept');
      // The space that the WAL has already allocated cannot be filled.
      fill();
      const large = randomBytes(40_000);
      for (let round = 0; round < 3; round += 1) {
        const results = await Promise.allSettled([made.save('b', large), made.save('c', large), made.save('a', large)]);
        assert.equal(statuses(results), '---');
        for (const result of results) if (result.status === 'rejected') refused('StorageFull')(result.reason);
        assert.deepEqual([made.value('a'), made.value('b'), made.value('c')], ['kept', undefined, undefined]);
        assert.deepEqual((await made.fsck()).problems, []);
      }
      free();
      assert.equal(await made.save('a', 'new'), 2);
      const opened = await made.reopened();
      assert.deepEqual([opened.value('a'), opened.value('b')], ['new', undefined]);
      assert.deepEqual((await opened.fsck()).problems, []);
    },
  );

  it('refuses a rekey with StorageFull, and keeps the old key', { skip: skipUnless(mounting) }, async (t) => {
    const { made, fill, free } = await onSmallDisk(t);
    for (let index = 0; index < 10; index += 1) await made.save(`a${index}`, randomBytes(10_000));
    await made.save('a', 'kept');
    fill();
    await assert.rejects(made.rekey(), refused('StorageFull'));
    assert.equal(made.vault.unlocked().sealing.epoch, 1);
    assert.equal(made.value('a'), 'kept');
    free();
    assert.equal((await made.rekey()).keyEpoch, 2);
    const opened = await made.reopened();
    assert.equal(opened.value('a'), 'kept');
    assert.deepEqual((await opened.fsck()).problems, []);
  });

  it(
    'refuses all writes with StorageFailed on a read-only disk, and still reads',
    { skip: skipUnless(mounting) },
    async (t) => {
      const made = await TestVault.create(t);
      await made.save('a', 'kept');
      const disk = smallDisk(t, 1024);
      for (const name of fs.readdirSync(made.directory))
        fs.copyFileSync(path.join(made.directory, name), path.join(disk, name));
      makeReadOnly(disk);
      const opened = await TestVault.open(t, disk);
      const results = await Promise.allSettled([opened.save('b', '1'), opened.remove('a'), opened.save('a', '2')]);
      assert.equal(statuses(results), '---');
      for (const result of results) {
        if (result.status === 'rejected') refused('StorageFailed', { reason: 'read_only' })(result.reason);
      }
      await assert.rejects(opened.rekey(), refused('StorageFailed', { reason: 'read_only' }));
      assert.equal(opened.value('a'), 'kept');
      assert.deepEqual((await opened.fsck()).problems, []);
    },
  );

  it('refuses all writes if another program changed the head', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'kept');
    editFile(made.path, (database) =>
      putRow(database, { kind: KIND.head, tag: Buffer.from('head'), body: randomBytes(300) }),
    );
    const results = await Promise.allSettled([made.save('b', '1'), made.save('c', '1')]);
    for (const result of results) {
      assert.ok(result.status === 'rejected');
      refused('StorageFailed', { reason: 'changed_by_other' })(result.reason);
    }
    assert.equal(made.value('a'), 'kept');
  });
});

describe('Vault.exclusive()', () => {
  it('runs after earlier writes, and before later ones', async (t) => {
    const made = await TestVault.create(t);
    const order: string[] = [];
    const note = (what: string) => (): void => void order.push(what);
    await Promise.all([
      made.save('a', '1').then(note('before')),
      made.vault
        .exclusive(async () => {
          order.push(`a is ${made.value('a')}`);
          for (let turn = 0; turn < 5; turn += 1) await nextTurn();
          order.push(`b is ${made.value('b')}`);
        })
        .then(note('exclusive')),
      made.save('b', '1').then(note('after')),
    ]);
    assert.deepEqual(order.slice(0, 1), ['a is 1']);
    assert.deepEqual(order.filter((what) => what !== 'before').slice(1), ['b is undefined', 'exclusive', 'after']);
    assert.equal(made.value('b'), '1');
  });

  it('refuses no waiting write, however long all of them take', async (t) => {
    const made = await TestVault.create(t);
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const writes = Array.from({ length: 5 }, () => made.vault.write(() => (now += LAST_FLUSH_MS)));
    await made.vault.exclusive(async () => {
      await nextTurn();
      assert.equal(now, LAST_FLUSH_MS, 'nor waits for them');
    });
    assert.deepEqual(
      await Promise.all(writes),
      writes.map((_, index) => (index + 1) * LAST_FLUSH_MS),
    );
  });

  it('runs one job at a time, even if one fails', async (t) => {
    const made = await TestVault.create(t);
    let running = 0;
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) =>
        made.vault.exclusive(async () => {
          running += 1;
          assert.equal(running, 1);
          await nextTurn();
          running -= 1;
          if (index % 2 === 1) throw new Error('failed');
        }),
      ),
    );
    assert.equal(statuses(results), '+-+-+-');
    await made.save('a', '1');
  });
});

describe('Vault.close()', () => {
  it('commits waiting writes, and leaves a single file with no companion files', async (t) => {
    const made = await TestVault.create(t);
    const saving = made.save('a', 'value');
    await made.close();
    assert.equal(await saving, 1);
    assert.deepEqual(fs.readdirSync(made.directory).toSorted(), [STORE_FILE, 'root.key']);
    assert.ok(!keysHeld(made));
    assert.equal((await TestVault.open(t, made.directory)).value('a'), 'value');
  });

  it('waits for running exclusive work, and begins none that waits', async (t) => {
    const made = await TestVault.create(t);
    const { promise: isDone, resolve: end } = Promise.withResolvers<string>();
    const running = made.vault.exclusive(() => isDone);
    const begun: string[] = [];
    const waiting = [
      made.vault.exclusive(async () => void begun.push('exclusive')),
      made.vault.replace(made.sodium.copyKey(made.vault.unlocked().rootKey), async (store) => {
        begun.push('replace');
        return prepareReplacement(store, store, made.vault.unlocked());
      }),
    ].map((work) => assert.rejects(work, { code: 'Busy' }));
    const closing = made.close();
    end('whole');
    assert.equal(await running, 'whole');
    await Promise.all([...waiting, closing]);
    assert.deepEqual(begun, []);
    assert.ok(!keysHeld(made));
  });

  it('does not retry a failed checkpoint', async (t) => {
    const made = await TestVault.create(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const purge = t.mock.method(made.store, 'purge', () => {
      throw new StoreError('io', 'by the test');
    });
    await made.close();
    assert.equal(made.purgeFailures.length, 1);
    t.mock.timers.tick(MINUTE_MS);
    assert.equal(purge.mock.callCount(), 1);
  });

  it('purges removed data from the file', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const [row] = rowsOf(made.path, KIND.credential);
    await made.remove('a');
    await made.close();
    assert.deepEqual(made.purgeFailures, []);
    assert.ok(!fs.readFileSync(made.path).includes(row?.body.subarray(0, 40) ?? ''));
  });
});

describe('Vault and removed data', () => {
  it('purges it from the WAL by itself, within about a second', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const [row] = rowsOf(made.path, KIND.credential);
    const needle = row?.body.subarray(0, 40) ?? assert.fail('no value');
    const isInFiles = (): boolean =>
      fs.readdirSync(made.directory).some((name) => fs.readFileSync(path.join(made.directory, name)).includes(needle));
    await made.remove('a');
    assert.ok(isInFiles());
    await eventually(() => !isInFiles());
  });

  it('purges it as soon even if much was stored in the same commit', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const purge = t.mock.method(made.store, 'purge');
    await Promise.all([made.remove('a'), ...Array.from({ length: 30 }, (_, index) => made.save(`b${index}`, 'value'))]);
    t.mock.timers.tick(SECOND_MS);
    assert.equal(purge.mock.callCount(), 1);
  });
});

describe('Vault and the WAL of its file', () => {
  function walBytes({ path: file }: TestVault): number {
    return fs.statSync(`${file}-wal`).size;
  }

  for (const [what, hold] of [
    [
      'a copy is made',
      (made: TestVault, work: () => Promise<void>): Promise<unknown> => {
        made.store.copyTo = work;
        return made.vault.copyTo('');
      },
    ],
    [
      'a snapshot is read',
      (made: TestVault, work: () => Promise<void>): Promise<unknown> => made.vault.readSnapshot(work),
    ],
  ] as const) {
    for (const isFailing of [false, true]) {
      it(`does not purge while ${what}, but does afterwards${isFailing ? ', even if that fails' : ''}`, async (t) => {
        const made = await TestVault.create(t);
        await made.save('a', 'value');
        t.mock.timers.enable({ apis: ['setTimeout'] });
        const purge = t.mock.method(made.store, 'purge');
        const work = Promise.withResolvers<void>();
        const held = hold(made, () => work.promise);
        const before = purge.mock.callCount();
        await made.remove('a');
        t.mock.timers.tick(SECOND_MS);
        assert.equal(purge.mock.callCount(), before);
        if (isFailing) work.reject(new StoreError('io', 'by the test'));
        else work.resolve();
        if (isFailing) await assert.rejects(held, refused('StorageFailed'));
        else await held;
        t.mock.timers.tick(SECOND_MS);
        assert.equal(purge.mock.callCount(), before + 1);
        assert.deepEqual([made.purgeFailures, walBytes(made)], [[], 0]);
      });
    }
  }

  it('checkpoints the WAL that a killed daemon left before anything is written', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const directory = memoryDirectory(t);
    for (const name of fs.readdirSync(made.directory)) {
      if (!name.endsWith('-shm')) fs.copyFileSync(path.join(made.directory, name), path.join(directory, name));
    }
    const opened = await TestVault.open(t, directory);
    assert.ok(walBytes(made) > 0);
    assert.deepEqual([walBytes(opened), opened.value('a')], [0, 'value']);
  });

  it('checkpoints within a minute of a write', async (t) => {
    const made = await TestVault.create(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    await made.save('a', 'value');
    t.mock.timers.tick(MINUTE_MS - 1);
    assert.ok(walBytes(made) > 0);
    t.mock.timers.tick(1);
    assert.equal(walBytes(made), 0);
  });

  for (const [what, commit] of [
    ['a call', (made: TestVault): Promise<unknown> => made.save('a', 'refused')],
    ['a rekey', (made: TestVault): Promise<unknown> => made.rekey()],
    [
      'a replacement',
      (made: TestVault): Promise<unknown> =>
        made.vault.replace(made.sodium.copyKey(made.vault.unlocked().rootKey), (store) =>
          prepareReplacement(store, made.store, made.vault.unlocked()),
        ),
    ],
  ] as const) {
    it(`checkpoints within a second after a failed commit of ${what}`, async (t) => {
      const made = await TestVault.create(t);
      t.mock.timers.enable({ apis: ['setTimeout'] });
      await made.save('a', 'value');
      const begin = made.store.begin.bind(made.store);
      const failing = t.mock.method(made.store, 'begin', (...expected: Parameters<typeof begin>) => {
        const transaction = begin(...expected);
        const fail = (): never => {
          transaction.rollback();
          throw new StoreError('io', 'the storage failed (SQLITE_IOERR_FSYNC)');
        };
        return { ...transaction, commit: fail };
      });
      const purge = t.mock.method(made.store, 'purge');
      await assert.rejects(commit(made), refused('StorageFailed', { reason: 'io' }));
      t.mock.timers.tick(SECOND_MS - 1);
      assert.equal(purge.mock.callCount(), 0);
      t.mock.timers.tick(1);
      assert.equal(purge.mock.callCount(), 1);
      failing.mock.restore();
      await made.save('a', 'new');
      assert.deepEqual([made.value('a'), (await made.fsck()).problems], ['new', []]);
    });
  }

  it('reports a commit that succeeds after some that failed', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    for (const failures of [1, 2, 3]) {
      const failing = t.mock.method(made.store, 'begin', () => {
        throw new StoreError('full', 'the disk is full');
      });
      for (let count = 0; count < failures; count += 1)
        await assert.rejects(made.save('b', 'value'), refused('StorageFull'));
      failing.mock.restore();
      assert.equal(made.commitsAgain, failures - 1);
      for (const value of ['new', 'newer']) await made.save('a', value);
      assert.equal(made.commitsAgain, failures);
    }
    const state = made.vault.unlocked();
    const { head } = state;
    state.head = undefined;
    await assert.rejects(made.save('b', 'value'), refused('Damaged'));
    state.head = head;
    await made.save('a', 'newest');
    assert.equal(made.commitsAgain, 3, 'a damaged head is no failure of the storage');
  });

  it(
    'keeps and reads acknowledged writes if the file has no room for them, and goes on once it has',
    { skip: skipUnless(mounting) },
    async (t) => {
      const disk = smallDisk(t, 2048);
      const made = await TestVault.create(t, disk);
      const large = 'large '.repeat(100_000);
      await made.save('a', large);
      leaveRoom(disk, 0);
      t.mock.timers.enable({ apis: ['setTimeout'] });
      await assert.rejects(made.save('b', large), refused('StorageFull'));
      for (const delay of [SECOND_MS, 10 * SECOND_MS, 10 * SECOND_MS]) t.mock.timers.tick(delay);
      assert.deepEqual([made.purgeFailures.length, made.purgesAfterFailure], [1, 0]);
      assert.equal(made.value('a'), large);
      assert.deepEqual((await made.fsck()).problems, []);
      leaveRoom(disk, 1024 ** 2);
      t.mock.timers.tick(10 * SECOND_MS);
      assert.deepEqual([made.purgeFailures.length, made.purgesAfterFailure, walBytes(made)], [1, 1, 0]);
      await made.save('a', 'small');
      const opened = await made.reopened();
      assert.deepEqual([opened.value('a'), (await opened.fsck()).problems], ['small', []]);
    },
  );
});

describe('Vault constructor', () => {
  it('refuses a store whose id is missing or of another length', async (t) => {
    const made = await TestVault.create(t);
    await made.close();
    for (const body of [Buffer.of(), randomBytes(15), randomBytes(17)]) {
      editFile(made.path, (database) => putRow(database, { kind: KIND.store, tag: Buffer.from('store'), body }));
      await assert.rejects(TestVault.openLocked(t, made.directory), refused('Damaged'));
    }
    editFile(made.path, (database) => deleteRow(database, { kind: KIND.store, tag: Buffer.from(fixedTag('store')) }));
    await assert.rejects(TestVault.openLocked(t, made.directory), refused('Damaged'));
  });

  it('unlocks nothing under another id', async (t) => {
    const made = await TestVault.create(t);
    const opened = await made.tampered((database) =>
      putRow(database, { kind: KIND.store, tag: Buffer.from('store'), body: randomBytes(16) }),
    );
    assert.ok(opened.vault.isLocked);
  });
});

describe('Vault.slots()', () => {
  it('reads a bounded number of slots, whatever was added to the file', async (t) => {
    const made = await TestVault.create(t);
    const key = createKeyFile(path.join(made.directory, 'k'));
    const slot = await makeSlot(
      made.sodium,
      made.vault.storeId,
      made.vault.unlocked().rootKey,
      { kind: 'recovery' },
      { key },
      1,
    );
    const opened = await made.tampered((database) => {
      for (let number = 0; number < 300; number += 1) {
        const id = `f${number.toString(16).padStart(7, '0')}`;
        putRow(database, { kind: KIND.slot, tag: Buffer.from(id), body: Buffer.from(JSON.stringify({ ...slot, id })) });
      }
    });
    assert.ok(opened.vault.slots().length <= 64);
  });
});

/** Returns the records with a bit of the first body changed. */
function flippedBodies(records: readonly SealedRecord[]): SealedRecord[] {
  return records.map((record, index) => {
    const body = Buffer.from(record.body);
    if (index === 0) body.writeUInt8(body.readUInt8(body.length >> 1) ^ 0x10, body.length >> 1);
    return { ...record, body };
  });
}
