import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { skipUnless } from '../../support/requirements.ts';
import { rowsOf } from '../vault/raw-file.ts';
import { mounting, smallDisk } from './small-disk.ts';
import { commit, fails, newFile, open, text, value } from './test-store.ts';

describe('SqliteStore.copyTo()', () => {
  it('copies the state after one commit, whatever is committed and begun meanwhile', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    const many = Array.from({ length: 3000 }, (_, index) => value(`n${index}`, 'x'.repeat(1000)));
    commit(store, 1, many);
    const target = path.join(path.dirname(file), 'copy.db');
    const copying = store.copyTo(target);
    let number = 1;
    const state = { isDone: false };
    const done = copying.finally(() => {
      state.isDone = true;
    });
    while (!state.isDone) {
      number += 1;
      commit(store, number, [value('n0', `${number}`), value('n2999', `${number}`)]);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    await done;
    assert.ok(number > 2, 'nothing was committed meanwhile');
    const open_ = store.begin(Buffer.of(number));
    open_.put(value('uncommitted'));
    const second = path.join(path.dirname(file), 'second.db');
    await store.copyTo(second);
    open_.rollback();
    const copy = open(t, target);
    assert.equal(text(copy.get(KIND.value, Buffer.from('n0'))), text(copy.get(KIND.value, Buffer.from('n2999'))));
    assert.deepEqual(await copy.findPageDamage(), []);
    assert.deepEqual(rowsOf(second), rowsOf(file));
    assert.ok(!fs.existsSync(`${target}-journal`));
  });

  it('lets the WAL be emptied afterwards, whether the copy succeeded or not', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    const folder = path.dirname(file);
    for (const [index, target] of [path.join(folder, 'copy.db'), path.join(folder, 'no', 'copy.db')].entries()) {
      commit(store, index + 1, [value('a')]);
      const [made] = await Promise.allSettled([store.copyTo(target)]);
      assert.equal(made.status, index === 0 ? 'fulfilled' : 'rejected');
      store.purge();
      assert.equal(fs.statSync(`${file}-wal`).size, 0);
    }
  });

  it('fails if the file was replaced or there is no room, and leaves the store unchanged', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a')]);
    await assert.rejects(store.copyTo(path.join(path.dirname(file), 'no', 'copy.db')));
    fs.renameSync(file, `${file}.away`);
    fs.copyFileSync(`${file}.away`, file);
    await assert.rejects(store.copyTo(path.join(path.dirname(file), 'copy.db')), fails('changed_by_other'));
  });

  it('fails if the copy cannot be locked, and does not make it', async (t) => {
    const store = open(t);
    commit(store, 1, [value('a')]);
    const target = newFile(t);
    const other = new Database(target);
    t.after(() => other.close());
    other.exec('BEGIN EXCLUSIVE');
    await assert.rejects(store.copyTo(target), fails('io', /the copy cannot be locked/));
    other.exec('ROLLBACK');
    await store.copyTo(target);
    const copy = open(t, target);
    assert.equal(text(copy.get(KIND.value, Buffer.from('a'))), 'body');
  });

  it('reports a full disk', { skip: skipUnless(mounting) }, async (t) => {
    const store = open(t);
    commit(store, 1, [value('a', 'x'.repeat(100_000))]);
    const disk = smallDisk(t, 64);
    await assert.rejects(store.copyTo(path.join(disk, 'copy.db')), fails('full'));
    assert.equal(text(store.get(KIND.value, Buffer.from('a')))?.length, 100_000);
  });
});

describe('SqliteStore.copyBytes()', () => {
  it('returns the size of a copy, however much of it is still in the WAL', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', 'x'.repeat(500_000)), value('b')]);
    // Most of it is still in the WAL.
    const bytes = store.copyBytes();
    const copy = path.join(path.dirname(file), 'copy.db');
    await store.copyTo(copy);
    assert.equal(bytes, fs.statSync(copy).size);
    assert.ok(bytes > 500_000);
  });
});
