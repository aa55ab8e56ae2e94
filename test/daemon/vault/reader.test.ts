import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { removeCredentials } from '../../../daemon/methods/save-version.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { countDamaged } from '../../../daemon/vault/reader.ts';
import { INLINE_BYTES_MAX, currentVersion } from '../../../daemon/vault/records.ts';
import type { CredentialRecord, Space } from '../../../daemon/vault/records.ts';
import { CredentialError, isCredentialError } from '../../../src/errors.ts';
import { TestVault } from './open-vault.ts';
import { deleteRow, editFile, overwrite, putRow, rowsOf } from './raw-file.ts';

describe('OpeningReader', () => {
  it('finds no credential under another name or in another space', async (t) => {
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

  it('returns bytes that the caller owns: wiping them changes nothing that is cached', async (t) => {
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

  it('throws Damaged, with the name, for a value that is missing', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value'.padEnd(INLINE_BYTES_MAX + 1));
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

  it('throws Damaged, with the name, for a record that cannot be decrypted', async (t) => {
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

  for (const [what, size] of [
    ['with its value', 10],
    ['whose value is apart', INLINE_BYTES_MAX + 1],
  ] as const) {
    it(`reads a credential ${what} again, past all caches, if the disk returned it wrongly`, async (t) => {
      const made = await TestVault.create(t);
      const value = 'v'.repeat(size);
      await made.save('a', value);
      const opened = await made.reopened();
      let now = performance.now();
      t.mock.method(performance, 'now', () => now);
      const last = rowsOf(made.path, size > INLINE_BYTES_MAX ? KIND.value : KIND.credential)[0] ?? assert.fail();
      const at = fs.readFileSync(made.path).indexOf(last.body.subarray(0, 24)) + 30;
      const byte = Buffer.of(last.body[30] ?? 0);
      const damaged = (error: unknown): boolean => isCredentialError(error, 'Damaged');
      // Empties SQLite's page caches.
      await opened.store.findPageDamage();
      overwrite(made.path, at, Buffer.of(byte.readUInt8() ^ 0x10));
      assert.throws(() => opened.value('a'), damaged);
      assert.equal(opened.vault.scan((reader) => reader.credentials(undefined, 10)).damaged, size > 10 ? 0 : 1);
      overwrite(made.path, at, byte);
      assert.throws(() => opened.value('a'), damaged, 'within a second, SQLite still has the page');
      now += 1001;
      assert.equal(opened.value('a'), value);
      assert.equal(opened.vault.scan((reader) => reader.credentials(undefined, 10)).damaged, 0);
    });
  }

  it('lists every credential once, in pages of any length, and counts damaged ones', async (t) => {
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

/** Tells whether a value is kept masked. */
function isMasked({ sodium }: TestVault): boolean {
  return sodium.masked.memory.some((block) => block.some((byte) => byte !== 0));
}

describe('a value that is read repeatedly', () => {
  it('is kept masked from the second read on, if it is small', async (t) => {
    const made = await TestVault.create(t);
    const small = 'a value that has no zeros as a pad';
    await made.save('large', 'x'.repeat(257));
    await made.save('small', small);
    for (let count = 0; count < 5; count += 1) {
      assert.equal(made.value('large')?.length, 257);
      assert.ok(!isMasked(made));
    }
    for (let count = 0; count < 5; count += 1) {
      assert.equal(made.value('small'), small);
      assert.equal(isMasked(made), count >= 1);
    }
  });

  /** What is done to the store, and the value afterwards. */
  const CHANGES: Readonly<Record<string, readonly [(made: TestVault) => Promise<unknown>, string | undefined]>> = {
    'is replaced': [(made) => made.save('a', 'another value'), 'another value'],
    'is removed': [(made) => made.remove('a'), undefined],
    'gets another data key': [(made) => made.rekey(), 'the first value'],
    'is locked and unlocked again': [
      async (made) => {
        await made.vault.lock();
        assert.ok(!isMasked(made));
        await made.slots.unlockUnattended();
      },
      'the first value',
    ],
    'is found damaged by a repair': [
      async (made) => {
        editFile(made.path, (database) => {
          for (const row of rowsOf(made.path, KIND.credential)) putRow(database, { ...row, body: Buffer.alloc(300) });
        });
        await made.repair();
      },
      undefined,
    ],
  };

  for (const [what, [change, after]] of Object.entries(CHANGES)) {
    it(`is no longer masked once it ${what}`, async (t) => {
      const made = await TestVault.create(t);
      await made.save('a', 'the first value');
      for (let count = 0; count < 3; count += 1) assert.equal(made.value('a'), 'the first value');
      assert.ok(isMasked(made));
      await change(made);
      assert.ok(!isMasked(made));
      for (let count = 0; count < 4; count += 1) assert.equal(made.value('a'), after);
    });
  }

  it('is the one stored as that version, whatever was read, changed, locked or held in between', async (t) => {
    const place = fc.record({
      name: fc.constantFrom('a', '1a'),
      space: fc.constantFrom<Space>('system', 'uid:1', 'uid:11'),
    });
    const change = fc.constantFrom('save', 'remove', 'remove and save', 'fail', 'rekey', 'lock', 'nothing');
    const step = fc.record({ place, change, older: fc.boolean(), reads: fc.nat({ max: 3 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const made = await TestVault.create(t);
        /** The values by credential id and version, as long as they are kept. */
        const stored = new Map<string, string>();
        const held: CredentialRecord[] = [];
        let saved = 0;
        for (const {
          place: { name, space },
          change,
          older,
          reads,
        } of steps) {
          const find = (): CredentialRecord | undefined => made.vault.read((reader) => reader.credential(space, name));
          if (change.startsWith('remove')) await made.remove(name, space);
          if (change.endsWith('save')) {
            saved += 1;
            await made.save(name, `value ${saved}`, space);
            const record = find() ?? assert.fail();
            stored.set(`${record.id} ${currentVersion(record).version}`, `value ${saved}`);
          }
          if (change === 'fail') {
            await assert.rejects(
              made.vault.write((writer) => {
                for (const record of held)
                  if (writer.credential(record.space, record.name)) removeCredentials(writer, record.space, [record]);
                throw new RangeError('it is dropped');
              }),
            );
          }
          if (change === 'rekey') await made.rekey();
          if (change === 'lock') {
            await made.vault.lock();
            await made.slots.unlockUnattended();
          }
          const record = find();
          if (record === undefined) continue;
          held.push(record);
          for (const each of older ? held.slice(-5) : [record]) {
            for (const { version } of each.versions.slice(-3)) {
              for (let count = 0; count < reads; count += 1) {
                // A version of a credential never gets another value.
                const value = countDamaged({ damaged: 0 }, () =>
                  made.vault.read((reader) => reader.value(each, version)),
                );
                if (value !== undefined || each === record)
                  assert.equal(value && Buffer.from(value).toString(), stored.get(`${each.id} ${version}`));
              }
            }
          }
        }
        await made.close();
      }),
      { numRuns: 15 },
    );
  });
});

describe('countDamaged()', () => {
  it('counts Damaged errors, and nothing else', () => {
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
