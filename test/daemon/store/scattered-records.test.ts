import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { migrate } from '../../../daemon/store/migrations.ts';
import { scatteredRecords } from '../../../daemon/store/scattered-records.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { editFile, overwrite, PAGE_BYTES, pagesOf, rowsOf, zeroPage } from '../vault/raw-file.ts';
import { recordsOf } from './records-of.ts';

/**
 * Sizes around 980 bytes, where SQLite begins to use overflow pages, and around 5072 bytes, where it leaves as much of
 * a row as possible on its own page.
 */
const BODY_BYTES = [
  0, 1, 16, 296, 970, 979, 980, 981, 983, 990, 1000, 1010, 3000, 4070, 4090, 5000, 5071, 5072, 5073, 5100, 9000, 70_000,
];

/** Nearly all rows have more than 300 bytes. */
const ROWS_PER_PAGE_MAX = 20;

const directory = memoryDirectory({ after });
const whole = path.join(directory, 'whole.db');
editFile(whole, (database) => {
  migrate(database);
  const insert = database.prepare('INSERT INTO record VALUES (?, ?, ?)');
  insert.run(KIND.store, Buffer.from('store'), randomBytes(16));
  insert.run(KIND.head, Buffer.from('head'), randomBytes(340));
  for (let index = 0; index < 400; index += 1) insert.run(KIND.value, randomBytes(16), randomBytes(296));
  for (const bytes of BODY_BYTES) insert.run(KIND.credential, randomBytes(16), randomBytes(bytes));
});
const original = fs.readFileSync(whole);

const textOf = ({ kind, tag, body }: { kind: number; tag: Uint8Array; body: Uint8Array }): string =>
  `${kind} ${Buffer.from(tag).toString('hex')} ${Buffer.from(body).toString('hex')}`;

const rows = rowsOf(whole).map(textOf).toSorted();

describe('scatteredRecords()', () => {
  it('finds what SQLite finds in an intact file, on inner pages and overflow pages too', () => {
    assert.ok(pagesOf(whole, 'internal').length > 0 && pagesOf(whole, 'overflow').length > BODY_BYTES.length / 2);
    assert.deepEqual(recordsOf(whole, textOf), rows);
  });

  it('loses only the rows on the lost page, whichever page that is', () => {
    const file = path.join(directory, 'damaged.db');
    const lost = new Map<string, number>();
    for (let page = 1; page <= original.length / PAGE_BYTES; page += 1) {
      fs.writeFileSync(file, original);
      zeroPage(file, page);
      const found = new Set(recordsOf(file, textOf));
      // A record with a part that is now zeros is found, but cannot be decrypted.
      for (const row of rows.filter((whole) => !found.has(whole))) lost.set(row, (lost.get(row) ?? 0) + 1);
    }
    assert.equal(lost.size, rows.length);
    for (const [row, times] of lost) {
      const body = row.split(' ')[2] ?? '';
      const pages = body.length / 2 < 980 ? 1 : 1 + Math.ceil(body.length / 2 / (PAGE_BYTES - 4));
      assert.ok(times <= pages, `a row of ${body.length / 2} bytes was lost ${times} times`);
    }
  });

  it('visits no cell of a page twice, and follows no circular chain of overflow pages', () => {
    const page = Buffer.alloc(PAGE_BYTES);
    const cells = 1400;
    // Read as an overflow page, its next page exists as well.
    page[0] = 0x0a;
    page.writeUInt16BE(cells, 3);
    const cell = 2900;
    for (let index = 0; index < cells; index += 1) page.writeUInt16BE(cell, 8 + 2 * index);
    // A payload of two megabytes.
    Buffer.of(0xff, 0xff, 0x7f).copy(page, cell);
    let reads = 0;
    const read = (): Buffer => {
      reads += 1;
      return page;
    };
    assert.deepEqual(Array.from(scatteredRecords({ pageCount: 1, read })), []);
    assert.ok(reads > 2 && reads <= 4, `${reads} reads`);
  });

  it('reads a cell right behind the cell pointers, and none that does not fit on its page', () => {
    const page = Buffer.alloc(PAGE_BYTES);
    page[0] = 0x0a;
    page.writeUInt16BE(1, 3);
    const found = (cell: number, payload: Uint8Array): readonly SealedRecord[] => {
      page.fill(0, 8);
      page.writeUInt16BE(cell, 8);
      page.set(payload.subarray(0, PAGE_BYTES - cell), cell);
      return Array.from(scatteredRecords({ pageCount: 1, read: () => page }));
    };
    const row = Buffer.of(25, 4, 1, 12 + 2 * 16, 12 + 2 * 4, KIND.value, ...randomBytes(16), 1, 2, 3, 4);
    for (const cell of [10, PAGE_BYTES - row.length])
      assert.deepEqual(
        found(cell, row).map(({ kind }) => kind),
        [KIND.value],
      );
    for (let cell = PAGE_BYTES - row.length + 1; cell < PAGE_BYTES; cell += 1) assert.deepEqual(found(cell, row), []);
    for (let cell = 2900; cell < PAGE_BYTES; cell += 1) {
      assert.deepEqual(found(cell, Buffer.of(0xff, 0xff, 0x7f)), []);
    }
  });

  it('terminates and throws nothing, whatever the pages contain', () => {
    const file = path.join(directory, 'noise.db');
    const places = [...pagesOf(whole, 'internal'), ...pagesOf(whole, 'leaf'), ...pagesOf(whole, 'overflow')];
    const change = fc.record({
      page: fc.constantFrom(...places),
      // The structure of a page is at its beginning.
      at: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: PAGE_BYTES - 8 })),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 20 }), (changes) => {
        fs.writeFileSync(file, original);
        for (const { page, at, bytes } of changes) overwrite(file, (page - 1) * PAGE_BYTES + at, bytes);
        const found = recordsOf(file, textOf);
        const hit = new Set(changes.map(({ page }) => page));
        assert.ok(found.length >= rows.length - hit.size * ROWS_PER_PAGE_MAX, `${found.length}`);
      }),
      { numRuns: 200 },
    );
  });
});
