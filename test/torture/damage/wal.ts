import { readFileSync } from 'node:fs';
import { STORE_FILE } from '../../daemon/vault/open-vault.ts';
import { PAGE_BYTES } from '../../daemon/vault/raw-file.ts';

export const WAL_FILE: string = `${STORE_FILE}-wal`;

/** Sizes and offsets from sqlite.org/fileformat2.html, "The Write-Ahead Log". */
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const FRAME_BYTES: number = FRAME_HEADER_BYTES + PAGE_BYTES;
const SALT_OFFSET = 16;
const SALT_BYTES = 8;
const HEADER_CHECKED_BYTES = 24;
const FRAME_CHECKED_BYTES = 8;
/**
 * The lowest bit of the magic number: set if checksums are computed over big-endian words, clear for little-endian
 * ones.
 */
const BIG_ENDIAN = 1;

/** One page in a WAL. */
export interface Frame {
  /** Its number in the database. */
  readonly page: number;
  /** The size of the database in pages after the commit that ends here; 0 if none does. */
  readonly pagesAfter: number;
  readonly bytes: Buffer;
}

/** Returns the frames of a WAL since its last reset. */
export function framesOf(wal: Buffer): Frame[] {
  const salt = saltOf(wal, SALT_OFFSET);
  const frames: Frame[] = [];
  for (let start = HEADER_BYTES; start + FRAME_BYTES <= wal.length; start += FRAME_BYTES) {
    if (!saltOf(wal, start + FRAME_CHECKED_BYTES).equals(salt)) break;
    frames.push({
      page: wal.readUInt32BE(start),
      pagesAfter: wal.readUInt32BE(start + 4),
      bytes: wal.subarray(start + FRAME_HEADER_BYTES, start + FRAME_BYTES),
    });
  }
  return frames;
}

/** Counts the transactions in a database's WAL since its last reset. */
export function commitsInWal(file: string): number {
  return framesOf(readFileSync(`${file}-wal`)).filter(({ pagesAfter }) => pagesAfter !== 0).length;
}

/** Makes a WAL of these frames that SQLite accepts as its own: the checksums have no key, so anybody can make them. */
export function forgeWal(wal: Buffer, frames: readonly Frame[]): Buffer {
  const header = Buffer.from(wal.subarray(0, HEADER_BYTES));
  const isBigEndian = (header.readUInt32BE(0) & BIG_ENDIAN) !== 0;
  let sum = checksum([0, 0], header.subarray(0, HEADER_CHECKED_BYTES), isBigEndian);
  writeSum(header, HEADER_CHECKED_BYTES, sum);
  const made = frames.map(({ page, pagesAfter, bytes }) => {
    const frame = Buffer.alloc(FRAME_BYTES);
    frame.writeUInt32BE(page, 0);
    frame.writeUInt32BE(pagesAfter, 4);
    saltOf(header, SALT_OFFSET).copy(frame, FRAME_CHECKED_BYTES);
    bytes.copy(frame, FRAME_HEADER_BYTES);
    sum = checksum(sum, frame.subarray(0, FRAME_CHECKED_BYTES), isBigEndian);
    sum = checksum(sum, bytes, isBigEndian);
    writeSum(frame, FRAME_CHECKED_BYTES + SALT_BYTES, sum);
    return frame;
  });
  return Buffer.concat([header, ...made]);
}

function saltOf(bytes: Buffer, offset: number): Buffer {
  return bytes.subarray(offset, offset + SALT_BYTES);
}

type Sum = readonly [number, number];

function checksum([first, second]: Sum, bytes: Buffer, isBigEndian: boolean): Sum {
  let [a, b] = [first, second];
  for (let offset = 0; offset < bytes.length; offset += 8) {
    const [x, y] = isBigEndian
      ? [bytes.readUInt32BE(offset), bytes.readUInt32BE(offset + 4)]
      : [bytes.readUInt32LE(offset), bytes.readUInt32LE(offset + 4)];
    a = (a + x + b) >>> 0;
    b = (b + y + a) >>> 0;
  }
  return [a, b];
}

function writeSum(bytes: Buffer, offset: number, [a, b]: Sum): void {
  bytes.writeUInt32BE(a, offset);
  bytes.writeUInt32BE(b, offset + 4);
}
