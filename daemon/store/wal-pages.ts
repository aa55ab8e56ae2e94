import { readSync } from 'node:fs';

/** Lengths and offsets in a WAL (https://sqlite.org/fileformat2.html#walformat). */
const HEADER_BYTES = 32;
const HEADER_SUMMED_BYTES = 24;
const FRAME_HEADER_BYTES = 24;
const FRAME_SUMMED_BYTES = 8;
const MAGIC_LITTLE_ENDIAN = 0x37_7f_06_82;
const MAGIC_BIG_ENDIAN = 0x37_7f_06_83;
const PAGE_BYTES_OFFSET = 8;
const SALT_OFFSET = 16;
const SALT_BYTES = 8;

/** The state of a database after the commits in its WAL. */
export interface WalPages {
  /** Size of the database after the last commit, in pages. */
  readonly pageCount: number;
  /** False if the disk failed to return a part of the WAL. */
  readonly isReadable: boolean;
  /** Offset in the WAL of the latest committed content of a page, by page number. */
  readonly offsets: ReadonlyMap<number, number>;
}

/**
 * Reads a WAL as SQLite's recovery after a crash does: all complete commits before the first frame with a wrong
 * checksum or salt.
 *
 * @param file a descriptor, which stays the caller's
 * @returns undefined if the WAL has no complete commit
 */
export function readWal(file: number, pageBytes: number): WalPages | undefined {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readWhole(file, header, 0) !== 'whole') return undefined;
  const magic = header.readUInt32BE(0);
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return undefined;
  const sum = new Checksum(magic === MAGIC_BIG_ENDIAN);
  sum.add(header.subarray(0, HEADER_SUMMED_BYTES));
  if (!sum.isIn(header, HEADER_SUMMED_BYTES) || header.readUInt32BE(PAGE_BYTES_OFFSET) !== pageBytes) return undefined;
  const salt = header.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES);

  const offsets = new Map<number, number>();
  const uncommitted = new Map<number, number>();
  let pageCount: number | undefined;
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageBytes);
  let reading = readWhole(file, frame, HEADER_BYTES);
  for (let at = HEADER_BYTES; reading === 'whole'; reading = readWhole(file, frame, (at += frame.length))) {
    sum.add(frame.subarray(0, FRAME_SUMMED_BYTES));
    sum.add(frame.subarray(FRAME_HEADER_BYTES));
    const isOfThisWal = frame.subarray(FRAME_SUMMED_BYTES, FRAME_SUMMED_BYTES + SALT_BYTES).equals(salt);
    if (!isOfThisWal || !sum.isIn(frame, FRAME_SUMMED_BYTES + SALT_BYTES)) break;
    uncommitted.set(frame.readUInt32BE(0), at + FRAME_HEADER_BYTES);
    const pagesAfterCommit = frame.readUInt32BE(4);
    if (pagesAfterCommit === 0) continue;
    pageCount = pagesAfterCommit;
    for (const [page, offset] of uncommitted) offsets.set(page, offset);
    uncommitted.clear();
  }
  return pageCount === undefined ? undefined : { pageCount, offsets, isReadable: reading !== 'unreadable' };
}

/** Fills `bytes`, and tells whether that succeeded, the file ended before, or the disk failed. */
function readWhole(file: number, bytes: Buffer, at: number): 'whole' | 'end' | 'unreadable' {
  try {
    return readSync(file, bytes, 0, bytes.length, at) === bytes.length ? 'whole' : 'end';
  } catch {
    return 'unreadable';
  }
}

/** SQLite's WAL checksum: two sums of 32-bit words, continued from frame to frame. */
class Checksum {
  readonly #isBigEndian: boolean;
  #first = 0;
  #second = 0;

  constructor(isBigEndian: boolean) {
    this.#isBigEndian = isBigEndian;
  }

  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 8) {
      this.#first = (this.#first + this.#word(bytes, at) + this.#second) >>> 0;
      this.#second = (this.#second + this.#word(bytes, at + 4) + this.#first) >>> 0;
    }
  }

  isIn(bytes: Buffer, offset: number): boolean {
    return bytes.readUInt32BE(offset) === this.#first && bytes.readUInt32BE(offset + 4) === this.#second;
  }

  #word(bytes: Buffer, at: number): number {
    return this.#isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
  }
}
