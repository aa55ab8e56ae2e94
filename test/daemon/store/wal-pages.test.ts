import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { migrate } from '../../../daemon/store/migrations.ts';
import { isWalDamaged, readWal } from '../../../daemon/store/wal-pages.ts';
import type { Scope } from '../../support/scope.ts';
import { Random } from '../../torture/random.ts';
import { forgeWal, framesOf } from '../../torture/damage/wal.ts';
import type { Frame } from '../../torture/damage/wal.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { PAGE_BYTES } from '../vault/raw-file.ts';

const HEADER_BYTES = 32;
const FRAME_BYTES = 24 + PAGE_BYTES;
const SECTOR_BYTES = 512;
const COMMITS = 6;

/** Returns a WAL with commits of one frame and of several, and behind them frames from before its last reset. */
function makeWal(scope: Scope): Buffer {
  const file = path.join(memoryDirectory(scope), 'live.db');
  const database = new Database(file);
  try {
    database.pragma('journal_mode = WAL');
    migrate(database);
    const put = database.prepare('INSERT OR REPLACE INTO record VALUES (6, ?, ?)');
    const commit = (number: number, bytes: number): void => {
      database.transaction(() => {
        for (let index = 0; index < number; index += 1) put.run(Buffer.of(number, index), Buffer.alloc(bytes, number));
      })();
    };
    commit(100, 4000);
    database.pragma('wal_checkpoint(RESTART)');
    for (let number = 1; number <= COMMITS; number += 1) commit(number, number === 3 ? 10 : 3000);
    return fs.readFileSync(`${file}-wal`);
  } finally {
    database.close();
  }
}

/** Lets `work` use a file with these contents. */
function withFile<T>(scope: Scope, content: Uint8Array, work: (file: number) => T): T {
  const name = path.join(memoryDirectory(scope), 'wal');
  fs.writeFileSync(name, content);
  const file = fs.openSync(name, 'r');
  try {
    return work(file);
  } finally {
    fs.closeSync(file);
  }
}

/** Returns a function that tells whether a WAL with these contents is damaged. */
function looker(scope: Scope): (content: Uint8Array) => boolean {
  const name = path.join(memoryDirectory(scope), 'wal');
  return (content) => {
    fs.writeFileSync(name, content);
    const file = fs.openSync(name, 'r');
    try {
      return isWalDamaged(file, PAGE_BYTES);
    } finally {
      fs.closeSync(file);
    }
  };
}

/** Lets a disk fail to return one page of any file, as the kernel reports that: it returns what comes before first. */
function loseBlock(t: TestContext): (block: number) => void {
  const { readSync } = fs;
  let lost = Number.POSITIVE_INFINITY;
  t.mock.method(fs, 'readSync', (file: number, bytes: Buffer, offset: number, length: number, at: number) => {
    const start = lost * PAGE_BYTES;
    if (at + length <= start || at >= start + PAGE_BYTES) return readSync(file, bytes, offset, length, at);
    if (at >= start) throw Object.assign(new Error('EIO'), { errno: -os.constants.errno.EIO, code: 'EIO' });
    return readSync(file, bytes, offset, start - at, at);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return (block) => {
    lost = block;
  };
}

/** Returns frames of a WAL that do not follow each other, so that none continues another. */
function unlinked(wal: Buffer): Buffer[] {
  return framesOf(wal).map((_, index) => {
    const at = HEADER_BYTES + index * FRAME_BYTES;
    return Buffer.from(wal.subarray(at, at + FRAME_BYTES)).fill(index, 1000, 1010);
  });
}

function flipped(wal: Buffer, at: number, bit: number): Buffer {
  const damaged = Buffer.from(wal);
  damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at);
  return damaged;
}

/** Returns the index of the first frame of the last commit. */
function lastCommitOf(frames: readonly Frame[]): number {
  return frames.slice(0, -1).findLastIndex(({ pagesAfter }) => pagesAfter !== 0) + 1;
}

describe('isWalDamaged()', () => {
  it('is true for a flipped bit anywhere before the last commit, and false for one in it or behind it', (t) => {
    const wal = makeWal(t);
    const frames = framesOf(wal);
    assert.ok(frames.length < (wal.length - HEADER_BYTES) / FRAME_BYTES, 'there are older frames');
    assert.equal(frames.filter(({ pagesAfter }) => pagesAfter !== 0).length, COMMITS);
    const isDamaged = looker(t);
    assert.equal(isDamaged(wal), false);
    const last = lastCommitOf(frames);
    for (let index = 0; index < frames.length + 2; index += 1) {
      const start = HEADER_BYTES + index * FRAME_BYTES;
      for (const place of [...Array(26).keys(), 1000, FRAME_BYTES - 1]) {
        // A frame of the last commit that claims to end it, though there are more, is noticed too.
        if (index >= last && place >= 4 && place < 8) continue;
        for (const bit of [0, 3, 7]) {
          assert.equal(isDamaged(flipped(wal, start + place, bit)), index < last, `bit ${bit} of ${place} of ${index}`);
        }
      }
    }
    for (let at = 0; at < HEADER_BYTES; at += 1) {
      for (const bit of [0, 3, 7]) assert.equal(isDamaged(flipped(wal, at, bit)), true, `bit ${bit} of byte ${at}`);
    }
  });

  it('is true for a lost sector, or a lost block, before the last commit', (t) => {
    const wal = makeWal(t);
    const frames = framesOf(wal);
    const isDamaged = looker(t);
    // Without its header, nothing tells the frame that ends the last commit but one from one that the last one begins with.
    const end = HEADER_BYTES + (lastCommitOf(frames) - 1) * FRAME_BYTES;
    for (const bytes of [SECTOR_BYTES, PAGE_BYTES]) {
      for (let at = 0; at + bytes <= end; at += bytes) {
        for (const fill of [0, 0x5a]) {
          const damaged = Buffer.from(wal).fill(fill, at, at + bytes);
          if (!damaged.equals(wal)) assert.equal(isDamaged(damaged), true, `${bytes} bytes at ${at}`);
        }
      }
    }
  });

  it('is false for a WAL that ends anywhere, and for one that was never written', (t) => {
    const wal = makeWal(t);
    const isDamaged = looker(t);
    for (let end = 0; end < wal.length; end += 1021) assert.equal(isDamaged(wal.subarray(0, end)), false, `${end}`);
    for (const bytes of [0, 1, HEADER_BYTES, wal.length]) assert.equal(isDamaged(new Uint8Array(bytes)), false);
  });

  it('is false after a power loss, whichever sectors of the last commit and of failed ones reached the disk', (t) => {
    const wal = makeWal(t);
    const frames = framesOf(wal);
    const isDamaged = looker(t);
    const random = new Random(7);
    const pages = frames.map(({ bytes }) => bytes);
    const transaction = (count: number, salt: number): Frame[] =>
      Array.from({ length: count }, (_, index) => ({
        page: 1 + random.below(20),
        pagesAfter: index === count - 1 ? 20 : 0,
        // Pages often equal one of a former attempt in part.
        bytes: Buffer.from(random.pick(pages)).fill(salt, 0, 1 + random.below(PAGE_BYTES)),
      }));
    for (let round = 0; round < 500; round += 1) {
      const synced = frames.slice(0, random.pick([0, lastCommitOf(frames), frames.length]));
      const start = HEADER_BYTES + synced.length * FRAME_BYTES;
      // Each attempt begins behind the last commit that was synced. All but the last one failed.
      const attempts = Array.from({ length: 1 + random.below(4) }, (_, index) =>
        forgeWal(wal, [...synced, ...transaction(1 + random.below(60), index)]),
      );
      const length = Math.max(wal.length, ...attempts.map((attempt) => attempt.length));
      const disk = Buffer.alloc(length);
      if (random.oneIn(2)) {
        // What the attempts overwrite is from before the last reset, and has another salt.
        wal.copy(disk);
        for (let at = start + 8; at < wal.length; at += FRAME_BYTES) disk.writeUInt8(disk.readUInt8(at) ^ 1, at);
      }
      attempts[0]?.copy(disk, 0, 0, start);
      const sector = start - (start % SECTOR_BYTES);
      for (let at = sector, sectors: number; at < length; at += sectors * SECTOR_BYTES) {
        // The sectors of an attempt mostly reach the disk together.
        sectors = random.pick([1, 8, 8, 8]);
        const from = Math.max(at, start);
        const attempt = random.oneIn(4) ? undefined : random.pick(attempts);
        if (attempt !== undefined && from < attempt.length) {
          attempt.copy(disk, from, from, at + sectors * SECTOR_BYTES);
        }
      }
      assert.equal(isDamaged(disk), false, `round ${round}`);
    }
  });

  it('is false if a frame is torn inside its header, half of which is that of the end of a failed commit', (t) => {
    const wal = makeWal(t);
    const frames = framesOf(wal);
    const synced = frames.slice(0, 4);
    // The first sector with the header of this frame ends after its page number and size of the database.
    const torn = 41;
    const at = HEADER_BYTES + torn * FRAME_BYTES + 8;
    assert.equal(at % SECTOR_BYTES, 0);
    const attempt = (count: number, fill: number): Buffer =>
      forgeWal(wal, [
        ...synced,
        ...Array.from({ length: count - synced.length }, (_, index) => ({
          page: 2 + index,
          pagesAfter: index === count - synced.length - 1 ? 60 : 0,
          bytes: Buffer.alloc(PAGE_BYTES, fill),
        })),
      ]);
    const disk = attempt(50, 2);
    attempt(torn + 1, 1).copy(disk, at - SECTOR_BYTES, at - SECTOR_BYTES, at);
    assert.equal(looker(t)(disk), false);
  });
});

describe('isWalDamaged() of a WAL that the disk does not return whole', () => {
  it('needs all frames to the first that is from before the last reset, and none behind it', (t) => {
    const wal = makeWal(t);
    const frames = framesOf(wal);
    const end = HEADER_BYTES + (frames.length + 1) * FRAME_BYTES;
    const needed = Math.ceil(end / PAGE_BYTES);
    const blocks = Math.ceil(wal.length / PAGE_BYTES);
    assert.ok(needed < blocks);
    const isDamaged = looker(t);
    const lose = loseBlock(t);
    const damaged = flipped(wal, HEADER_BYTES + (lastCommitOf(frames) - 1) * FRAME_BYTES + 2000, 2);
    const torn = flipped(wal, HEADER_BYTES + frames.length * FRAME_BYTES - 1, 2);
    const header = flipped(wal, 20, 2);
    for (let block = 0; block < blocks; block += 1) {
      lose(block);
      if (block >= needed) {
        assert.equal(isDamaged(wal), false, `block ${block}`);
        assert.equal(isDamaged(damaged), true, `block ${block}`);
      } else assert.throws(() => isDamaged(wal), { code: 'EIO' }, `block ${block}`);
      // What would prove that the last frame was whole once could be in that block.
      assert.throws(() => isDamaged(torn), { code: 'EIO' }, `block ${block}`);
    }
    lose(blocks - 1);
    assert.equal(isDamaged(header), true);
    // A frame with no salt, or with one that only damage explains, is not from before the reset.
    const first = HEADER_BYTES + frames.length * FRAME_BYTES + 8;
    assert.throws(() => isDamaged(Buffer.from(wal).fill(0, first, first + 8)), { code: 'EIO' });
    const salt = flipped(
      Buffer.concat([wal.subarray(0, first), wal.subarray(16, 24), wal.subarray(first + 8)]),
      first,
      0,
    );
    assert.throws(() => isDamaged(salt), { code: 'EIO' });
  });

  it('reads a WAL with a damaged header once for each byte order that it may have had', (t) => {
    const wal = makeWal(t);
    const header = flipped(wal, 20, 2).subarray(0, HEADER_BYTES);
    const name = path.join(memoryDirectory(t), 'wal');
    // A commit that nothing follows proves nothing, so all frames are read.
    fs.writeFileSync(name, Buffer.concat([header, ...unlinked(wal)]));
    const { readSync } = fs;
    let reads = 0;
    t.mock.method(fs, 'readSync', (from: number, bytes: Buffer, offset: number, length: number, at: number) => {
      if (at === HEADER_BYTES + 5 * FRAME_BYTES) reads += 1;
      return readSync(from, bytes, offset, length, at);
    });
    syncBuiltinESMExports();
    const file = fs.openSync(name, 'r');
    try {
      assert.equal(isWalDamaged(file, PAGE_BYTES), false);
    } finally {
      fs.closeSync(file);
      t.mock.restoreAll();
      syncBuiltinESMExports();
    }
    assert.equal(reads, 2);
  });
});

describe('readWal()', () => {
  it('reads what comes after a block that the disk does not return, wherever it begins in a frame', (t) => {
    const wal = makeWal(t);
    const frames = framesOf(wal);
    const pages = withFile(t, wal, (file) => readWal(file, PAGE_BYTES));
    const lose = loseBlock(t);
    const last = HEADER_BYTES + lastCommitOf(frames) * FRAME_BYTES;
    for (let block = 2; (block + 2) * PAGE_BYTES < last; block += 1) {
      lose(block);
      const found = withFile(t, wal, (file) => readWal(file, PAGE_BYTES));
      assert.deepEqual([found?.isReadable, found?.isDamaged, found?.pageCount], [false, true, pages?.pageCount]);
    }
  });

  it('reads what comes after the damage, and the damaged page itself', (t) => {
    const wal = makeWal(t);
    const whole = withFile(t, wal, (file) => readWal(file, PAGE_BYTES));
    assert.ok(whole !== undefined && !whole.isDamaged && whole.isReadable);
    const last = lastCommitOf(framesOf(wal));
    for (let index = 0; index < last; index += 1) {
      const at = HEADER_BYTES + index * FRAME_BYTES + 2000;
      const damaged = withFile(t, flipped(wal, at, 2), (file) => readWal(file, PAGE_BYTES));
      assert.deepEqual(damaged, { ...whole, isDamaged: true }, `frame ${index}`);
    }
    assert.deepEqual(
      withFile(t, flipped(wal, 20, 2), (file) => readWal(file, PAGE_BYTES)),
      { ...whole, isDamaged: true },
      'the header',
    );
  });
});
