import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { fillNewStore, isEmptyStore } from '../../../daemon/vault/new-store.ts';
import { makeSlot } from '../../../daemon/vault/slots.ts';
import { Sodium } from '../../../daemon/vault/sodium.ts';
import { memoryDirectory } from './memory-directory.ts';
import { STORE_FILE, TestVault } from './open-vault.ts';
import { deleteRow, editFile, putRow, rowsOf } from './raw-file.ts';

describe('fillNewStore()', () => {
  it('writes the first records of an empty store, and nothing else', async (t) => {
    const made = await TestVault.create(t);
    assert.deepEqual(
      rowsOf(made.path).map(({ kind }) => kind),
      [KIND.store, KIND.head, KIND.slot, KIND.dataKey],
    );
    assert.deepEqual((await made.fsck()).problems, []);
    assert.equal(made.vault.unlocked().sealing.epoch, 1);
  });

  it('leaves the store empty if the first slot cannot be made, and leaves no key in memory', async (t) => {
    const directory = memoryDirectory(t);
    const sodium = await Sodium.load();
    const store = SqliteStore.open(path.join(directory, STORE_FILE));
    t.after(() => store.close());
    await assert.rejects(
      fillNewStore(store, sodium, () => Promise.reject(new Error('no slot'))),
      /no slot/,
    );
    assert.ok(isEmptyStore(store));
    assert.ok(sodium.memory[0]?.every((byte) => byte === 0));
  });

  it('leaves the store empty if it cannot be written, and succeeds at the next attempt', async (t) => {
    const directory = memoryDirectory(t);
    const sodium = await Sodium.load();
    const store = SqliteStore.open(path.join(directory, STORE_FILE));
    t.after(() => store.close());
    const failing = t.mock.method(store, 'begin', (head: Uint8Array | undefined) => {
      const transaction = SqliteStore.prototype.begin.call(store, head);
      let count = 0;
      const put = (record: SealedRecord): void => {
        count += 1;
        if (count === 3) throw new StoreError('full', 'by the test');
        transaction.put(record);
      };
      return { ...transaction, put };
    });
    const fill = (): Promise<void> =>
      fillNewStore(store, sodium, (storeId, rootKey) =>
        makeSlot(sodium, storeId, rootKey, { kind: 'recovery' }, { key: new Uint8Array(32) }, 1),
      );
    await assert.rejects(fill(), StoreError);
    assert.ok(isEmptyStore(store));
    assert.ok(sodium.memory[0]?.every((byte) => byte === 0));
    failing.mock.restore();
    await fill();
    assert.equal(isEmptyStore(store), false);
  });

  it('makes another store id and other keys each time', async (t) => {
    const [a, b] = [await TestVault.create(t), await TestVault.create(t)];
    assert.notDeepEqual(a.vault.storeId, b.vault.storeId);
    assert.notDeepEqual(a.vault.unlocked().rootKey, b.vault.unlocked().rootKey);
  });
});

describe('isEmptyStore()', () => {
  it('is false if there is one record of any kind: nothing is made over the remains of a store', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value', 'uid:5');
    await made.close();
    const rows = rowsOf(made.path);
    assert.equal(rows.length, 6);
    for (const kept of rows) {
      editFile(made.path, (database) => {
        for (const row of rows) deleteRow(database, row);
        putRow(database, kept);
      });
      const store = SqliteStore.open(made.path);
      assert.equal(isEmptyStore(store), false, `kind ${kept.kind}`);
      store.close();
    }
    editFile(made.path, (database) => database.exec('DELETE FROM record'));
    const store = SqliteStore.open(made.path);
    assert.equal(isEmptyStore(store), true);
    store.close();
  });
});
