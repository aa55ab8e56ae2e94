import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { PAGE_BYTES } from './page-file.ts';

/** What each page of a journal begins with (https://sqlite.org/fileformat2.html#walformat): its number, and more. */
const FRAME_HEADER_BYTES = 24;
const JOURNAL_HEADER_BYTES = 32;

/** The header of the file, which its first page begins with. */
const FILE_HEADER_BYTES = 100;
const PAGE_BYTES_OFFSET = 16;
const AUTO_VACUUM_OFFSET = 52;
/** Types of pages of a b-tree, with the lengths of their headers (https://sqlite.org/fileformat2.html#b_tree_pages). */
const HEADER_BYTES: ReadonlyMap<number | undefined, number> = new Map([
  [0x02, 12],
  [0x05, 12],
  [0x0a, 8],
  [0x0d, 8],
]);
const CELL_COUNT_OFFSET = 3;
const CELLS_START_OFFSET = 5;

/**
 * Other pages begin with the number of a page: in a file of fewer pages, its first byte is the type of no page of a b-tree.
 * 64 GiB.
 */
const PAGES_MAX = 0x01_00_00_00;

/** Pages that are looked at between two turns of the event loop: about a millisecond of work. */
const SLICE_PAGES = 200;

const ZEROS = Buffer.alloc(PAGE_BYTES);

/** The numbers of all pages in a journal, of some maybe that were not committed. */
export function pagesInJournal(journal: number): Set<number> {
  const pages = new Set<number>();
  const { size } = fstatSync(journal);
  const number = Buffer.alloc(4);
  for (let at = JOURNAL_HEADER_BYTES; at < size; at += FRAME_HEADER_BYTES + PAGE_BYTES) {
    if (readSync(journal, number, 0, number.length, at) === number.length) pages.add(number.readUInt32BE());
  }
  return pages;
}

/** The numbers of all pages of a file. */
export function pagesInFile(file: number): number[] {
  return Array.from({ length: Math.floor(fstatSync(file).size / PAGE_BYTES) }, (_, index) => index + 1);
}

/**
 * Overwrites what lies between the cells of some pages, which SQLite never reads: where it spreads the cells of a page over
 * others, what it moved stays there, and `secure_delete` overwrites it only where it lies then.
 *
 * @param file a store's, which nothing else writes meanwhile; stays the caller's
 * @returns whether there was anything
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

/** Does so in all of a file that nobody has open, and waits for the disk. */
export function overwriteAllLeftovers(path: string): void {
  const file = openSync(path, constants.O_RDWR);
  try {
    overwriteLeftovers(file, pagesInFile(file));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Does so too, with pauses in which others have their turn. */
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
 * Whether its pages are as this program makes them: another one (VACUUM) may have given it larger ones, or such as only say
 * what the others are for (auto_vacuum), which begin like those of a b-tree.
 */
function hasOwnPages(file: number, header: Buffer): boolean {
  readSync(file, header, 0, FILE_HEADER_BYTES, 0);
  return header.readUInt16BE(PAGE_BYTES_OFFSET) === PAGE_BYTES && header.readUInt32BE(AUTO_VACUUM_OFFSET) === 0;
}

/** Where nothing is, between the pointers to the cells of a page and the first of these; undefined where it has none, or is damaged. */
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
