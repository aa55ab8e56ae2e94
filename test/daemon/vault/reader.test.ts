import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { countDamaged } from '../../../daemon/vault/reader.ts';
import { CredentialError, isCredentialError } from '../../../src/errors.ts';
import { TestVault } from './open-vault.ts';
import { deleteRow, putRow, rowsOf } from './raw-file.ts';

describe('OpeningReader', () => {
  it('knows no credential of another name or space', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    made.vault.read((reader) => {
      assert.equal(reader.credential('system', 'a')?.name, 'a');
      for (const [space, name] of [
        ['system', 'b'],
        ['uid:0', 'a'],
        ['system', 'A'],
        ['system', 'a\0'],
        ['system', ''],
      ] as const) {
        assert.equal(reader.credential(space, name), undefined);
      }
    });
  });

  it("gives bytes that are the caller's: wiping them changes nothing that is kept", async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    for (let count = 0; count < 3; count += 1) {
      made.vault.read((reader) => {
        const record = reader.credential('system', 'a') ?? assert.fail();
        const value = reader.value(record, 1);
        assert.equal(Buffer.from(value).toString(), 'value');
        value.fill(0);
      });
    }
  });

  it('says Damaged, with the name, of a value that is not there', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const opened = await made.tampered((database) => database.exec('DELETE FROM record WHERE kind = 6'));
    assert.throws(
      () => opened.value('a'),
      (error) => isCredentialError(error, 'Damaged') && error.fields.name === 'a',
    );
    assert.throws(
      () => opened.value('a', 7),
      (error) => isCredentialError(error, 'Damaged'),
    );
  });

  it('says Damaged, with the name, of a record that does not open', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const [row] = rowsOf(made.path, KIND.credential);
    assert.ok(row !== undefined);
    const opened = await made.tampered((database) => putRow(database, { ...row, body: Buffer.alloc(300) }));
    assert.throws(
      () => opened.value('a'),
      (error) => isCredentialError(error, 'Damaged') && error.fields.name === 'a',
    );
  });

  it('lists every credential once, in pages of any length, and counts the damaged ones', async (t) => {
    const made = await TestVault.create(t);
    await Promise.all(
      Array.from({ length: 25 }, (_, index) => made.save(`a${index}`, 'v', index % 2 ? 'system' : 'uid:1')),
    );
    const [first, second] = rowsOf(made.path, KIND.credential);
    assert.ok(first !== undefined && second !== undefined);
    const opened = await made.tampered((database) => {
      putRow(database, { ...first, body: Buffer.of(1) });
      deleteRow(database, second);
    });
    for (const limit of [1, 2, 7, 24, 25, 100]) {
      const names: string[] = [];
      let damaged = 0;
      let next: Uint8Array | undefined;
      do {
        const page = opened.vault.read((reader) => reader.credentials(next, limit));
        names.push(...page.records.map(({ name }) => name));
        damaged += page.damaged;
        ({ next } = page);
      } while (next !== undefined);
      assert.deepEqual([names.length, new Set(names).size, damaged], [23, 23, 1]);
    }
  });

  it('reads the new record of a credential after every commit', async (t) => {
    const made = await TestVault.create(t);
    for (const value of ['1', '2', '3']) {
      await made.save('a', value);
      assert.equal(made.value('a'), value);
    }
    await made.remove('a');
    assert.equal(made.value('a'), undefined);
    await made.save('a', 'anew');
    assert.equal(made.value('a'), 'anew');
    assert.equal(made.value('a', 1), 'anew');
  });
});

describe('countDamaged()', () => {
  it('counts what is damaged, and nothing else', () => {
    const count = { damaged: 0 };
    assert.equal(
      countDamaged(count, () => 5),
      5,
    );
    assert.equal(
      countDamaged(count, () => {
        throw new CredentialError('Damaged', {});
      }),
      undefined,
    );
    assert.throws(() =>
      countDamaged(count, () => {
        throw new CredentialError('Locked', {});
      }),
    );
    assert.throws(
      () =>
        countDamaged(count, () => {
          throw new TypeError('defect');
        }),
      TypeError,
    );
    assert.equal(count.damaged, 1);
  });
});
