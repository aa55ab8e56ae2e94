import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { rekey } from '../../../daemon/vault/rekey.ts';
import { Sealing } from '../../../daemon/vault/sealing.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { CURRENT, attack, large, storeWithPast } from './attacked-store.ts';
import { TestVault, isPending } from './open-vault.ts';
import { deleteRow, editFile, putRow, rowsOf } from './raw-file.ts';
import type { Row } from './raw-file.ts';

const history = await storeWithPast({ after });

/** Returns the rows whose bodies are anywhere in the files of a store. */
function foundInFiles(directory: string, rows: readonly Row[]): Row[] {
  const files = fs.readdirSync(directory).map((name) => fs.readFileSync(path.join(directory, name)));
  return rows.filter(({ body }) => files.some((content) => content.includes(body.subarray(0, 32))));
}

function isDamaged(error: unknown): boolean {
  return isCredentialError(error, 'Damaged');
}

describe('rekey()', () => {
  it('keeps values, versions, grants, owners and slots', async (t) => {
    const opened = await history.opened(t);
    const known = (vault: TestVault): unknown =>
      vault.vault.read((reader) => ({
        principals: [...reader.principals()].toSorted((a, b) => a.principal.localeCompare(b.principal)),
        credentials: reader.credentials(undefined, 100).records.toSorted((a, b) => a.id.localeCompare(b.id)),
        values: ['1', '2', '3'].map((version) => vault.value('rotated', Number(version))),
        slots: vault.vault.slots(),
      }));
    const before = known(opened);
    const records = rowsOf(opened.path).filter(({ kind }) => kind >= KIND.principal).length;
    assert.deepEqual(await opened.rekey(), { keyEpoch: 2, records });
    assert.deepEqual(known(opened), before);
    const again = await opened.reopened();
    assert.deepEqual(known(again), before);
    assert.deepEqual((await again.fsck()).problems, []);
    assert.equal((await again.rekey()).keyEpoch, 3);
    assert.deepEqual(known(await again.reopened()), before);
  });

  it('leaves no record of the old key in the file or the WAL', async (t) => {
    const opened = await history.opened(t);
    await opened.save('plain', 'plain 2');
    const old = rowsOf(opened.path).filter(({ kind }) => kind !== KIND.store && kind !== KIND.slot);
    assert.equal(foundInFiles(opened.directory, old).length, old.length);
    await opened.rekey();
    assert.deepEqual(foundInFiles(opened.directory, old), []);
    assert.deepEqual(opened.purgeFailures, []);
    const tags = new Set(rowsOf(opened.path).map(({ tag }) => tag.toString('hex')));
    assert.ok(old.filter(({ kind }) => kind >= KIND.principal).every(({ tag }) => !tags.has(tag.toString('hex'))));
  });

  it('leaves nothing that the old data key decrypts, and decrypts nothing that it sealed', async (t) => {
    const opened = await history.opened(t);
    const old = rowsOf(opened.path);
    await opened.rekey();
    // Put every old record beside the new ones: the daemon must ignore them all.
    const mixed = await opened.tampered((database) => {
      for (const row of old.filter(({ kind }) => kind >= KIND.principal || kind === KIND.dataKey))
        putRow(database, row);
    });
    assert.equal(mixed.vault.unlocked().sealing.epoch, 2);
    for (const [place, value] of Object.entries(CURRENT)) {
      const [space = '', name = ''] = place.split('/');
      assert.equal(mixed.value(name, undefined, space as 'system'), value);
    }
    assert.equal(
      mixed.vault.read((reader) => reader.credentials(undefined, 100)).records.length,
      Object.keys(CURRENT).length,
    );
    const { problems } = await mixed.repair();
    assert.ok(problems.length > 10);
    assert.deepEqual((await mixed.fsck()).problems, []);
    assert.equal(mixed.value('rotated'), large('rotated 3'));
  });

  it('releases its new keys if it cannot begin, however often it is tried', async (t) => {
    const opened = await TestVault.create(t);
    const ofAnother = { headBody: new Uint8Array(1) };
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const tried = opened.vault.exclusive((state, store) => rekey(opened.sodium, { ...state, ...ofAnother }, store));
      await assert.rejects(tried, { code: 'StorageFailed', fields: { reason: 'changed_by_other' } });
    }
    assert.equal((await opened.rekey()).keyEpoch, 2);
  });

  it('releases its new keys if a record is damaged, however often it is tried', async (t) => {
    const opened = await history.opened(t, attack('deletes the current value'));
    for (let attempt = 0; attempt < 50; attempt += 1) await assert.rejects(opened.rekey(), isDamaged);
    await opened.vault.lock();
    assert.ok(opened.sodium.memory[0]?.every((byte) => byte === 0));
  });

  it('wipes every value that it seals again', async (t) => {
    const opened = await history.opened(t);
    const seal = t.mock.method(Sealing.prototype, 'seal');
    await opened.rekey();
    const values = seal.mock.calls
      .map(({ arguments: given }) => given)
      .filter(([kind]) => kind === KIND.value || kind === KIND.credential);
    assert.ok(values.length > 5);
    for (const [, , text] of values) assert.ok(text.every((byte) => byte === 0));
  });

  it('wipes a value even if the disk is full before it is written again', async (t) => {
    const opened = await history.opened(t);
    const open = t.mock.method(opened.vault.unlocked().sealing, 'open');
    t.mock.method(opened.store, 'begin', (head: Uint8Array | undefined) => {
      const transaction = SqliteStore.prototype.begin.call(opened.store, head);
      const put: typeof transaction.put = (record) => {
        if (record.kind === KIND.value) throw new StoreError('full', 'by the test');
        transaction.put(record);
      };
      return { ...transaction, put };
    });
    await assert.rejects(opened.rekey(), { code: 'StorageFull' });
    const texts = open.mock.calls.flatMap(({ arguments: [kind], result }) =>
      kind === KIND.value && result !== undefined ? [result] : [],
    );
    assert.equal(texts.length, 1);
    for (const text of texts) assert.ok(text.every((byte) => byte === 0));
  });

  it('lets reads go on meanwhile, and makes writes wait', async (t) => {
    const made = await TestVault.create(t);
    await Promise.all(Array.from({ length: 1000 }, (_, index) => made.save(`a${index}`, `value ${index}`)));
    // Each list has up to 64 names: the more commits, the more lists.
    const lists = rowsOf(made.path, KIND.names).length;
    assert.ok(lists >= 16 && lists < 100, `${lists}`);
    let reads = 0;
    const rekeying = made.rekey();
    const saving = made.save('a0', 'new');
    while (await isPending(rekeying)) {
      const index = (reads * 7) % 1000;
      assert.equal(made.value(`a${index}`), `value ${index}`);
      reads += 1;
    }
    assert.ok(reads > 3, `${reads}`);
    // The credentials, their lists, and the principal record of their space.
    assert.equal((await rekeying).records, 1000 + lists + 1);
    assert.equal(await saving, 2);
    assert.equal(made.value('a0'), 'new');
    assert.deepEqual((await made.fsck()).problems, []);
  });

  it('runs after another one that was requested at the same time', async (t) => {
    const opened = await history.opened(t);
    const epochs = (await Promise.all([opened.rekey(), opened.rekey(), opened.rekey()])).map(
      ({ keyEpoch }) => keyEpoch,
    );
    assert.deepEqual(epochs, [2, 3, 4]);
    assert.equal(opened.value('plain'), large('plain 1'));
  });

  it('holds no more keys afterwards than before', async (t) => {
    const opened = await history.opened(t);
    const held = (): number => opened.sodium.memory[0]?.filter((byte) => byte !== 0).length ?? 0;
    for (let round = 0; round < 30; round += 1) await opened.rekey();
    // One root key and three subkeys, some bytes of which are zero by chance.
    assert.ok(held() <= 4 * 32, `${held()}`);
  });

  for (const what of [
    'deletes the current value',
    'deletes the record of a credential',
    'deletes a shared credential with its values',
    'deletes a list of grants',
    'deletes the head',
    'changes a bit of the head',
    'changes a bit of the authenticator of a value',
    'swaps the values of two credentials',
    'puts an older head back',
    'puts the older record of a rotated credential back',
    'puts an older record back and deletes the newer value',
    'puts the value of a removed credential back',
    'puts a removed credential back in the place of the new one',
    'puts a grant back that was revoked',
    'puts the older principal record of a user back',
    'adds records that no owner refers to',
    'adds a slot record without a valid slot',
    'adds a second store id',
  ]) {
    it(`refuses, and does not cover it up with a new head, after an attacker ${what}`, async (t) => {
      const opened = await history.opened(t, attack(what));
      const before = rowsOf(opened.path);
      await assert.rejects(opened.rekey(), isDamaged);
      assert.deepEqual(rowsOf(opened.path), before);
      assert.notDeepEqual((await opened.fsck()).problems, []);
      await opened.repair();
      assert.equal((await opened.rekey()).keyEpoch, 2);
      assert.deepEqual((await (await opened.reopened()).fsck()).problems, []);
    });
  }

  it('can only be undone by putting the whole older file back', async (t) => {
    const opened = await history.opened(t);
    const old = rowsOf(opened.path);
    await opened.rekey();
    await opened.close();
    editFile(opened.path, (database) => {
      for (const row of rowsOf(opened.path, KIND.dataKey)) deleteRow(database, row);
      for (const row of old.filter(({ kind }) => kind === KIND.dataKey)) putRow(database, row);
    });
    const back = await TestVault.open(t, opened.directory);
    assert.equal(back.vault.unlocked().sealing.epoch, 1);
    assert.deepEqual(back.vault.read((reader) => reader.credentials(undefined, 100)).records, []);
    await assert.rejects(back.save('a', 'value'), isDamaged);
  });
});
