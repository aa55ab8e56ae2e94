import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { PAGE_BYTES } from './page-file.ts';

/** Header before each page in a WAL (https://sqlite.org/fileformat2.html#walformat); begins with the page number. */
const FRAME_HEADER_BYTES = 24;
const WAL_HEADER_BYTES = 32;

/** The header of the database file, at the start of its first page. */
const FILE_HEADER_BYTES = 100;
const PAGE_BYTES_OFFSET = 16;
const AUTO_VACUUM_OFFSET = 52;
/** Lengths of the b-tree page headers, by page type (https://sqlite.org/fileformat2.html#b_tree_pages). */
const HEADER_BYTES: ReadonlyMap<number | undefined, number> = new Map([
  [0x02, 12],
  [0x05, 12],
  [0x0a, 8],
  [0x0d, 8],
]);
const CELL_COUNT_OFFSET = 3;
const CELLS_START_OFFSET = 5;

/**
 * Files with this many pages or more (64 GiB) are left alone. Pages outside of b-trees begin with a page number (u32,
 * big-endian); in smaller files its first byte is 0, which is not the type of a b-tree page.
 */
const PAGES_MAX = 0x01_00_00_00;

/** Pages processed per turn of the event loop: about a millisecond of work. */
const SLICE_PAGES = 200;

const ZEROS = Buffer.alloc(PAGE_BYTES);

/** Returns the numbers of all pages in a WAL, which may include uncommitted ones. */
export function pagesInWal(wal: number): Set<number> {
  const pages = new Set<number>();
  const { size } = fstatSync(wal);
  const number = Buffer.alloc(4);
  for (let at = WAL_HEADER_BYTES; at < size; at += FRAME_HEADER_BYTES + PAGE_BYTES) {
    if (readSync(wal, number, 0, number.length, at) === number.length) pages.add(number.readUInt32BE());
  }
  return pages;
}

/** Returns the numbers of all pages of a file. */
export function pagesInFile(file: number): number[] {
  return Array.from({ length: Math.floor(fstatSync(file).size / PAGE_BYTES) }, (_, index) => index + 1);
}

/**
 * Overwrites the unallocated space before the cells of some pages, which SQLite never reads. When SQLite spreads the
 * cells of a page over its neighbours, copies of the cells that it moved stay there, and `secure_delete` later
 * overwrites a deleted cell only in its new place.
 *
 * @param file descriptor of a store's file, which nothing else writes meanwhile; stays the caller's
 * @returns whether there was anything to overwrite
 */
export function overwriteLeftovers(file: number, pages: Iterable<number>): boolean {
  const page = Buffer.alloc(PAGE_BYTES);
  if (fstatSync(file).size / PAGE_BYTES >= PAGES_MAX || !hasOwnPages(file, page)) return false;
  let isAny = false;
  for (const number of pages) {
    const start = (number - 1) * PAGE_BYTES;
    if (number < 1 || readSync(file, page, 0, PAGE_BYTES, start) !== PAGE_BYTES) continue;
    const gap = gapIn(page, number === 1 ? FILE_HEADER_BYTES : 0);
    if (gap === undefined || page.compare(ZEROS, 0, gap.end - gap.start, gap.start, gap.end) === 0) continue;
    writeSync(file, ZEROS, 0, gap.end - gap.start, start + gap.start);
    isAny = true;
  }
  return isAny;
}

/** Overwrites the leftovers of all pages of a file that is open nowhere else, and syncs it. */
export function overwriteAllLeftovers(path: string): void {
  const file = openSync(path, constants.O_RDWR);
  try {
    overwriteLeftovers(file, pagesInFile(file));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Like {@link overwriteAllLeftovers}, but yields to the event loop between slices. */
export async function overwriteAllLeftoversInSlices(path: string): Promise<void> {
  const file = openSync(path, constants.O_RDWR);
  try {
    const pages = pagesInFile(file);
    for (let at = 0; at < pages.length; at += SLICE_PAGES) {
      overwriteLeftovers(file, pages.slice(at, at + SLICE_PAGES));
      await nextTurn();
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Tells whether a file has the page layout that this program creates. Another program may have changed the page size
 * (VACUUM), or added pointer map pages (auto_vacuum), which begin like b-tree pages.
 */
function hasOwnPages(file: number, header: Buffer): boolean {
  readSync(file, header, 0, FILE_HEADER_BYTES, 0);
  return header.readUInt16BE(PAGE_BYTES_OFFSET) === PAGE_BYTES && header.readUInt32BE(AUTO_VACUUM_OFFSET) === 0;
}

/**
 * Returns the unallocated space of a b-tree page, between the cell pointer array and the first cell; undefined if there
 * is none, or the page is damaged or of another type.
 */
function gapIn(page: Buffer, header: number): { readonly start: number; readonly end: number } | undefined {
  const headerBytes = HEADER_BYTES.get(page[header]);
  if (headerBytes === undefined) return undefined;
  const start = header + headerBytes + 2 * page.readUInt16BE(header + CELL_COUNT_OFFSET);
  const end = page.readUInt16BE(header + CELLS_START_OFFSET);
  if (start >= end || end > PAGE_BYTES) return undefined;
  for (let pointer = header + headerBytes; pointer < start; pointer += 2) {
    if (page.readUInt16BE(pointer) < end) return undefined;
  }
  return { start, end };
}
