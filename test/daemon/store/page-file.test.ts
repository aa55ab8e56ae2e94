import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { migrate } from '../../../daemon/store/migrations.ts';
import { PageFile } from '../../../daemon/store/page-file.ts';
import { scatteredRecords } from '../../../daemon/store/scattered-records.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import type { Scope } from '../../support/scope.ts';
import { forgeWal, framesOf } from '../../torture/damage/wal.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { PAGE_BYTES, rowsOf } from '../vault/raw-file.ts';
import { recordsOf } from './records-of.ts';

const FRAME_BYTES = 24 + PAGE_BYTES;
const WAL_HEADER_BYTES = 32;

/** Makes a file with commits in its WAL, as left by a killed process. */
function killed(scope: Scope): string {
  const directory = memoryDirectory(scope);
  const live = path.join(directory, 'live.db');
  const database = new Database(live);
  try {
    database.pragma('journal_mode = WAL');
    migrate(database);
    const put = database.prepare('INSERT OR REPLACE INTO record VALUES (6, ?, ?)');
    for (let index = 0; index < 30; index += 1) put.run(Buffer.of(index), Buffer.alloc(900, 1));
    database.pragma('wal_checkpoint(TRUNCATE)');
    for (let round = 2; round < 5; round += 1) {
      database.transaction(() => {
        for (let index = round; index < 60; index += round) put.run(Buffer.of(index), Buffer.alloc(900, round));
      })();
      database.prepare('DELETE FROM record WHERE tag = ?').run(Buffer.of(round * 7));
    }
    const file = path.join(directory, 'killed.db');
    fs.copyFileSync(live, file);
    fs.copyFileSync(`${live}-wal`, `${file}-wal`);
    return file;
  } finally {
    database.close();
  }
}

const textOf = ({ tag, body }: { tag: Uint8Array; body: Uint8Array }): string =>
  `${Buffer.from(tag).toString('hex')} ${Buffer.from(body).toString('hex').slice(0, 8)} ${body.length}`;

/** Returns the records that SQLite reads from copies of the file and its WAL, since reading changes them. */
function recordsBySqlite(file: string): string[] {
  const copy = `${file}.copy`;
  fs.copyFileSync(file, copy);
  fs.copyFileSync(`${file}-wal`, `${copy}-wal`);
  fs.rmSync(`${copy}-shm`, { force: true });
  return rowsOf(copy).map(textOf).toSorted();
}

describe('PageFile', () => {
  it('has the pages of the WAL up to the last complete commit, wherever the WAL ends', (t) => {
    const file = killed(t);
    const wal = fs.readFileSync(`${file}-wal`);
    const seen = new Set<string>();
    assert.equal((wal.length - WAL_HEADER_BYTES) % FRAME_BYTES, 0);
    for (let end = wal.length; end >= 0; end -= FRAME_BYTES / 2) {
      fs.writeFileSync(`${file}-wal`, wal.subarray(0, end));
      const records = recordsOf(file, textOf);
      assert.deepEqual(records, recordsBySqlite(file), `cut at ${end}`);
      seen.add(records.join());
    }
    assert.ok(seen.size > 3, `${seen.size} states`);
  });

  it('skips what a crash may have left of the last commit, reads past damage, and reports damage and a WAL that is none', (t) => {
    const file = killed(t);
    const wal = fs.readFileSync(`${file}-wal`);
    const whole = recordsOf(file, textOf);
    let lost = 0;
    const places = Array.from({ length: WAL_HEADER_BYTES }, (_, at) => at);
    for (let at = WAL_HEADER_BYTES; at < wal.length; at += 2039) places.push(at);
    for (const at of places) {
      const damaged = Buffer.from(wal);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
      fs.writeFileSync(`${file}-wal`, damaged);
      const pages = PageFile.open(file);
      pages.close();
      // SQLite drops all commits from the damaged frame on. One page at most is an older one or damaged itself.
      if (!pages.isWalLost) assert.deepEqual(recordsOf(file, textOf), recordsBySqlite(file), `byte ${at}`);
      else assert.ok(recordsOf(file, textOf).length > 0.8 * whole.length, `byte ${at}`);
      lost += pages.isWalLost ? 1 : 0;
    }
    assert.ok(lost > places.length / 2 && lost < places.length, `${lost} of ${places.length}`);
    const isLost = (content: Uint8Array): boolean => {
      fs.writeFileSync(`${file}-wal`, content);
      const pages = PageFile.open(file);
      pages.close();
      return pages.isWalLost;
    };
    assert.deepEqual([wal, new Uint8Array(0), new Uint8Array(wal.length)].map(isLost), [false, false, true]);
  });

  it('has no more pages than the file and the WAL, whatever a commit frame claims', (t) => {
    const file = killed(t);
    const wal = fs.readFileSync(`${file}-wal`);
    const frames = framesOf(wal);
    const before = recordsOf(file, textOf);
    const boast = frames.map((frame) => ({ ...frame, pagesAfter: frame.pagesAfter === 0 ? 0 : 0xff_ff_ff_ff }));
    fs.writeFileSync(`${file}-wal`, forgeWal(wal, boast));
    const pages = PageFile.open(file);
    pages.close();
    assert.equal(pages.pageCount, Math.max(fs.statSync(file).size / PAGE_BYTES, ...frames.map(({ page }) => page)));
    assert.deepEqual(recordsOf(file, textOf), before);
  });

  it('counts a page that the WAL has lost meanwhile as unreadable, not as empty', (t) => {
    const file = killed(t);
    const pages = PageFile.open(file);
    fs.truncateSync(`${file}-wal`);
    Array.from(scatteredRecords(pages));
    assert.ok(pages.unreadable > 0);
    pages.close();
  });

  it('refuses a missing file, anything but a regular file, and one whose WAL cannot be opened', (t) => {
    const directory = memoryDirectory(t);
    execFileSync('mkfifo', [path.join(directory, 'fifo.db')]);
    // Without its WAL, it would be an older version of the file.
    fs.writeFileSync(path.join(directory, 'good.db'), new Uint8Array(PAGE_BYTES));
    fs.symlinkSync('good.db-wal', path.join(directory, 'good.db-wal'));
    for (const name of ['absent.db', '.', 'fifo.db', 'good.db']) {
      assert.throws(
        () => PageFile.open(path.join(directory, name)),
        (error) => error instanceof StoreError && error.failure === 'io',
        name,
      );
    }
  });
});
