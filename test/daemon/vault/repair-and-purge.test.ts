import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { Space } from '../../../daemon/vault/records.ts';
import { FIELD_IDS } from '../../../src/providers/registry.ts';
import { memberName } from '../../../src/sets.ts';
import { TestVault } from './open-vault.ts';
import { deleteRow, newRows, putRow, rowsOf } from './raw-file.ts';
import type { Row } from './raw-file.ts';

/** Returns the row that holds a credential. */
function rowOf(made: TestVault, name: string, space: Space = 'system'): Row {
  const tag = made.vault.unlocked().sealing.credentialTag(space, name);
  return rowsOf(made.path, KIND.credential).find((row) => row.tag.equals(tag)) ?? assert.fail();
}

describe('the WAL', () => {
  const CHANGES: Readonly<Record<string, (made: TestVault, space: Space) => Promise<unknown>>> = {
    'is removed': (made, space) => made.remove('a', space),
    'is removed and made again in one commit': (made, space) =>
      Promise.all([made.remove('a', space), made.save('a', 'anew', space)]),
    'has ten newer versions in one commit': (made, space) =>
      Promise.all(Array.from({ length: 10 }, (_, index) => made.save('a', `newer ${index}`, space))),
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    for (const space of ['system', 'uid:5'] as const) {
      it(`has nothing of a value shortly after its credential ${what} (${space})`, async (t) => {
        const made = await TestVault.create(t);
        // The second credential keeps the list of names in place.
        await Promise.all([made.save('a', 'secret', space), made.save('b', 'other', space)]);
        const { body } = rowOf(made, 'a', space);
        const exists = (): boolean =>
          ['', '-wal'].some((end) => fs.readFileSync(`${made.path}${end}`).includes(body.subarray(0, 40)));
        assert.ok(exists());
        await change(made, space);
        // Long before the checkpoint that follows a mere write.
        const end = performance.now() + 10_000;
        while (exists() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
        assert.ok(!exists());
      });
    }
  }
});

describe('repair()', () => {
  it('drops the health of a set whose records were all put back from an older copy', async (t) => {
    const made = await TestVault.create(t);
    const name = memberName('one', FIELD_IDS[0] ?? '');
    await made.save(name, 'first');
    const old = rowOf(made, name);
    await made.save(name, 'second');
    const health = { space: 'system', set: 'one', generation: 2, state: 'passed', checked: 1 } as const;
    await made.vault.write((writer) => writer.putHealth(health));
    const opened = await made.tampered((database) => putRow(database, old));
    await opened.repair();
    assert.equal(opened.value(name), undefined);
    assert.deepEqual((await opened.fsck()).problems, []);
  });

  it('removes again a set that was put back with its health', async (t) => {
    for (const space of ['system', 'uid:5'] as const) {
      const made = await TestVault.create(t);
      const [first = '', second = ''] = FIELD_IDS.map((field) => memberName('one', field));
      await Promise.all([first, second].map((name) => made.save(name, 'removed', space)));
      await made.save('other', 'stays', space);
      const health = { space, set: 'one', generation: 1, state: 'passed', checked: 1 } as const;
      await made.vault.write((writer) => writer.putHealth(health));
      const before = rowsOf(made.path);
      for (const name of [first, second]) await made.remove(name, space);
      await made.vault.write((writer) => writer.deleteHealth(space, 'one'));
      const isOf = ({ kind }: Row): boolean => kind === KIND.credential || kind === KIND.health;
      const opened = await made.tampered((database) => {
        for (const row of newRows(rowsOf(made.path), before).filter(isOf)) putRow(database, row);
      });
      assert.equal(opened.value(first, undefined, space), 'removed');
      await opened.repair();
      for (const name of [first, second]) assert.equal(opened.value(name, undefined, space), undefined);
      assert.equal(opened.value('other', undefined, space), 'stays');
      assert.equal(
        opened.vault.read((reader) => reader.health(space, 'one')),
        undefined,
      );
      assert.deepEqual((await opened.fsck()).problems, []);
    }
  });

  it('does not make a removed value current if the removed record has replaced the newer one', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'removed');
    const old = rowOf(made, 'a');
    await made.remove('a');
    await made.save('a', 'current');
    const opened = await made.tampered((database) => putRow(database, old));
    const { problems } = await opened.repair();
    assert.ok(problems.some(({ what, name }) => what === 'record' && name === 'a'));
    assert.equal(opened.value('a'), undefined);
    assert.equal(opened.vault.read((reader) => reader.principal('system'))?.count, 0);
    assert.deepEqual((await opened.fsck()).problems, []);
    assert.equal(await opened.save('a', 'anew'), 1);
  });

  it('keeps a credential whose list is lost while a removed list with its name was put back', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'removed');
    const [old = assert.fail()] = rowsOf(made.path, KIND.names);
    await made.remove('a');
    await made.save('a', 'current');
    const [list = assert.fail()] = rowsOf(made.path, KIND.names);
    const opened = await made.tampered((database) => {
      deleteRow(database, list);
      putRow(database, old);
    });
    assert.notDeepEqual((await opened.repair()).problems, []);
    assert.equal(opened.value('a'), 'current');
    assert.deepEqual((await opened.fsck()).problems, []);
  });

  it('drops an older record that is put back after a repair has dropped the older value', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'first', 'uid:5');
    const old = rowOf(made, 'a', 'uid:5');
    await made.save('a', 'second', 'uid:5');
    const opened = await made.tampered((database) => database.exec('DELETE FROM record WHERE kind = 6'));
    await opened.repair();
    assert.equal(opened.value('a', undefined, 'uid:5'), 'second');
    const attacked = await opened.tampered((database) => putRow(database, old));
    await attacked.repair();
    assert.equal(attacked.value('a', undefined, 'uid:5'), undefined);
    assert.deepEqual((await attacked.fsck()).problems, []);
  });

  it('lists names again if a damaged list and the new one have the same id', async (t) => {
    let opened = await TestVault.create(t);
    await opened.saveAll(['a', 'b']);
    const list = (made: TestVault): Row => rowsOf(made.path, KIND.names)[0] ?? assert.fail();
    // Without a head, commits are counted from one again: the second round makes lists with the same ids.
    for (let round = 0; round < 2; round += 1) {
      const damaged = list(opened);
      opened = await opened.tampered((database) => {
        deleteRow(database, { kind: KIND.head, tag: Buffer.from('head') });
        putRow(database, { ...damaged, body: damaged.body.subarray(1) });
      });
      await opened.repair();
      assert.deepEqual((await opened.fsck()).problems, [], `${round}`);
    }
    assert.equal(opened.vault.read((reader) => reader.credential('system', 'a'))?.listed, '1.0');
    const row = rowOf(opened, 'a');
    opened = await opened.tampered((database) => deleteRow(database, row));
    assert.ok((await opened.fsck()).problems.some(({ what, name }) => what === 'missing' && name === 'a'));
  });
});
