import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import type { Kind } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { valueIn } from '../../../daemon/vault/records.ts';
import { ATTACKS, attack, large, storeWithPast } from './attacked-store.ts';
import type { Problem } from '../../../src/protocol/interface.generated.ts';
import { TestVault, isPending } from './open-vault.ts';
import { editFile, leavesOf, putRow, rowsOf, zeroPage } from './raw-file.ts';

const history = await storeWithPast({ after });

describe('fsck()', () => {
  it('finds no problem in an intact store, nor after a restart or a rekey', async (t) => {
    const made = await history.opened(t);
    // uid:6 has only a grant, and uid:8 has nothing left.
    await made.grant('uid:6', { space: 'system', kind: 'name', target: 'plain' });
    await made.save('gone', 'value', 'uid:8');
    await made.remove('gone', 'uid:8');
    assert.deepEqual((await made.fsck()).problems, []);
    const opened = await made.reopened();
    assert.deepEqual((await opened.fsck()).problems, []);
    await opened.rekey();
    assert.deepEqual((await opened.fsck()).problems, []);
    assert.deepEqual((await (await opened.reopened()).fsck()).problems, []);
  });

  it('reports records that it cannot read again to prove that they were added', async (t) => {
    const opened = await history.opened(t, attack("puts a user's removed credential back"));
    const { store } = opened;
    const get = store.get.bind(store);
    t.mock.method(store, 'get', (kind: Kind, tag: Uint8Array) => {
      if (kind === KIND.credential) throw new StoreError('io', 'the disk failed');
      return get(kind, tag);
    });
    const { problems, isWhole } = await opened.fsck();
    assert.ok(problems.some(({ detail }) => detail === 'records cannot be read again: the disk failed'));
    assert.equal(isWhole, false);
  });

  it('reports no record that the disk returns wrongly once, so that a repair keeps it', async (t) => {
    const opened = await history.opened(t);
    const before = rowsOf(opened.path);
    for (const kind of Object.values(KIND)) {
      let isFlipped = false;
      const list = t.mock.method(opened.store, 'list', (...given: Parameters<SqliteStore['list']>) => {
        const found = SqliteStore.prototype.list.apply(opened.store, given);
        if (isFlipped || given[0] !== kind || found.length === 0) return found;
        isFlipped = true;
        return found.map((record) => ({ ...record, body: Buffer.from(record.body).fill(0, 10, 16) }));
      });
      assert.deepEqual((await opened.repair()).problems, [], `kind ${kind}`);
      assert.ok(isFlipped || kind === KIND.head || kind === KIND.health);
      list.mock.restore();
    }
    assert.deepEqual(rowsOf(opened.path), before);
  });

  it('repairs nothing while it finds other damage each time', async (t) => {
    const opened = await history.opened(t);
    let misread = 0;
    t.mock.method(opened.store, 'list', (...given: Parameters<SqliteStore['list']>) => {
      const found = SqliteStore.prototype.list.apply(opened.store, given);
      if (given[0] !== KIND.value || found.length === 0) return found;
      misread += 1;
      return found.map((record, at) => (at === misread ? { ...record, tag: Buffer.alloc(16, misread) } : record));
    });
    const { problems, areInspected } = await opened.fsck();
    assert.deepEqual([problems[0]?.what, areInspected], ['unchecked', false]);
  });

  it('names each of the removed credentials that were put back, even if they were in the same list', async (t) => {
    const made = await TestVault.create(t);
    await made.saveAll(['a', 'b', 'kept']);
    await made.saveAll(['c', 'd', 'e']);
    const rows = rowsOf(made.path, KIND.credential);
    const present = ['a', 'kept'];
    for (const name of ['b', 'c', 'd', 'e']) await made.remove(name);
    const opened = await made.tampered((database) => {
      for (const row of rows) putRow(database, row);
    });
    const { problems } = await opened.repair();
    assert.deepEqual(outlines(problems), ['added', 'added b', 'added c', 'added d', 'added e']);
    const left = opened.vault.read((reader) => reader.credentials(undefined, 10).records);
    assert.deepEqual(left.map(({ name }) => name).toSorted(), present);
    assert.deepEqual((await opened.fsck()).problems, []);
  });

  it('counts every record but the head', async (t) => {
    const made = await TestVault.create(t);
    assert.equal((await made.fsck()).digest.records, 3);
    await made.save('a', 'value');
    assert.equal((await made.fsck()).digest.records, 6);
  });

  for (const [what, { edit, problems }] of Object.entries(ATTACKS)) {
    it(`reports the damage of an attacker who ${what}`, async (t) => {
      const opened = await history.opened(t, edit);
      const found = (await opened.fsck()).problems;
      assert.deepEqual(outlines(found), outlines(problems), JSON.stringify(found, undefined, 1));
    });
  }

  it('reports a head that another program changed since the store was opened', async (t) => {
    const opened = await history.opened(t);
    editFile(opened.path, (database) => putRow(database, history.row('granted', KIND.head)));
    const { problems } = await opened.fsck();
    assert.deepEqual(outlines(problems), ['head']);
    assert.match(problems[0]?.detail ?? '', /another program/);
  });

  it('reveals neither values nor keys', async (t) => {
    const opened = await history.opened(t, attack('swaps the values of two versions'));
    assert.ok(!JSON.stringify((await opened.fsck()).problems).includes('rotated 1'));
  });

  it('wipes every value that it decrypts, even one that no credential refers to', async (t) => {
    for (const what of [undefined, 'deletes the record of a credential']) {
      const opened = await history.opened(t, what === undefined ? undefined : attack(what));
      const { sealing } = opened.vault.unlocked();
      const open = t.mock.method(sealing, 'open');
      assert.equal((await opened.fsck()).problems.length === 0, what === undefined);
      const texts = open.mock.calls.flatMap(({ arguments: [kind], result }) =>
        kind === KIND.value && result !== undefined ? [result] : [],
      );
      assert.ok(texts.length > 5);
      for (const text of texts) assert.ok(valueIn(text).every((byte) => byte === 0));
    }
  });

  it('limits the number of reported problems', async (t) => {
    const made = await TestVault.create(t);
    await Promise.all(Array.from({ length: 1100 }, (_, index) => made.save(`a${index}`, large('value'))));
    const opened = await made.tampered((database) => database.exec('DELETE FROM record WHERE kind = 6'));
    const { problems, incomplete } = await opened.fsck();
    assert.deepEqual([problems.length, incomplete.length], [1000, 1100]);
  });

  it('reads from the disk and not from the cache of the running daemon', async (t) => {
    const made = await TestVault.create(t);
    await Promise.all(Array.from({ length: 60 }, (_, index) => made.save(`a${index}`, 'value '.repeat(40))));
    const running = await made.reopened();
    assert.deepEqual((await running.fsck()).problems, []);
    for (const leaf of leavesOf(running.path).slice(1)) zeroPage(running.path, leaf);
    assert.ok((await running.fsck()).problems.some(({ what }) => what === 'page'));
  });

  it('lets reads go on meanwhile, and makes writes wait', async (t) => {
    const made = await TestVault.create(t);
    await Promise.all(Array.from({ length: 1000 }, (_, index) => made.save(`a${index}`, 'value')));
    let reads = 0;
    const checking = made.fsck();
    const saving = made.save('b', 'value');
    while (await isPending(checking)) {
      assert.equal(made.value(`a${reads % 1000}`), 'value');
      assert.equal(made.value('b'), undefined);
      reads += 1;
    }
    assert.ok(reads > 3, `${reads}`);
    assert.deepEqual((await checking).problems, []);
    await saving;
    assert.equal(made.value('b'), 'value');
  });
});

/** Returns the problems without their details, sorted: the order of the records is random. */
function outlines(problems: readonly Partial<Problem>[]): string[] {
  return problems.map(({ what, name = '', version = '' }) => `${what} ${name} ${version}`.trim()).toSorted();
}
