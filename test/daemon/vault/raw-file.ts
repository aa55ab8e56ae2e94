import { createHash } from 'node:crypto';
import fs from 'node:fs';
import Database from 'better-sqlite3';

/** A row as stored in the file. */
export interface Row {
  readonly kind: number;
  readonly tag: Buffer;
  readonly body: Buffer;
}

export const PAGE_BYTES = 4096;

/** Opens the file, changes it and closes it, as an attacker with write access and no key would. */
export function editFile<T>(file: string, edit: (database: Database.Database) => T): T {
  const database = new Database(file);
  try {
    return edit(database);
  } finally {
    database.close();
  }
}

/** Returns all rows of the file, in its order. A daemon may have the file open. */
export function rowsOf(file: string, kind?: number): Row[] {
  const database = new Database(file, { readonly: true });
  try {
    const rows = database.prepare<[], Row>('SELECT kind, tag, body FROM record ORDER BY kind, tag').all();
    return rows.filter((row) => kind === undefined || row.kind === kind);
  } finally {
    database.close();
  }
}

/** Returns the rows of `after` that `before` does not have with the same body. */
export function newRows(before: readonly Row[], after: readonly Row[]): Row[] {
  const old = new Set(before.map(textOf));
  return after.filter((row) => !old.has(textOf(row)));
}

export function putRow(database: Database.Database, { kind, tag, body }: Row): void {
  database.prepare('INSERT OR REPLACE INTO record (kind, tag, body) VALUES (?, ?, ?)').run(kind, tag, body);
}

export function deleteRow(database: Database.Database, { kind, tag }: Omit<Row, 'body'>): void {
  database.prepare('DELETE FROM record WHERE kind = ? AND tag = ?').run(kind, tag);
}

/** Returns the page numbers of the table of one page type, in the order of the table; the root comes first. */
export function pagesOf(file: string, type: 'internal' | 'leaf' | 'overflow'): number[] {
  const database = new Database(file, { readonly: true });
  try {
    const pages = database.prepare<[string], number>(
      "SELECT pageno FROM dbstat WHERE name = 'record' AND pagetype = ? ORDER BY path",
    );
    return pages.pluck().all(type);
  } finally {
    database.close();
  }
}

/** Returns the leaf pages that hold rows. The root is one of them only if the table has no other page. */
export function leavesOf(file: string): number[] {
  return pagesOf(file, 'leaf');
}

/** Overwrites a page with zeros, bypassing SQLite. */
export function zeroPage(file: string, page: number): void {
  overwrite(file, (page - 1) * PAGE_BYTES, new Uint8Array(PAGE_BYTES));
}

export function overwrite(file: string, offset: number, bytes: Uint8Array): void {
  const descriptor = fs.openSync(file, 'r+');
  try {
    fs.writeSync(descriptor, bytes, 0, bytes.length, offset);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Returns a page of the table's b-tree that SQLite takes for its own. @param children of the rows, and after them */
export function treePage(rows: readonly Row[], children?: readonly number[]): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  const headerBytes = children === undefined ? 8 : 12;
  let top = PAGE_BYTES;
  rows.forEach(({ kind, tag, body }, index) => {
    // The row header: its own length, and the types of the columns.
    const types = [1, 12 + 2 * tag.length, 12 + 2 * body.length].flatMap((type) => [...varint(type)]);
    const payload = Buffer.concat([Buffer.of(types.length + 1, ...types), Buffer.of(kind), tag, body]);
    const child = Buffer.alloc(children === undefined ? 0 : 4);
    if (children !== undefined) child.writeUInt32BE(children[index] ?? 0);
    const cell = Buffer.concat([child, varint(payload.length), payload]);
    top -= cell.copy(page, top - cell.length);
    page.writeUInt16BE(top, headerBytes + 2 * index);
  });
  page.writeUInt8(children === undefined ? 10 : 2, 0);
  page.writeUInt16BE(rows.length, 3);
  page.writeUInt16BE(top, 5);
  if (children !== undefined) page.writeUInt32BE(children.at(-1) ?? 0, 8);
  return page;
}

/** Replaces all pages behind the first one, which holds the schema; the root of the table comes first. */
export function forgePages(file: string, pages: readonly Buffer[]): void {
  const first = fs.readFileSync(file).subarray(0, PAGE_BYTES);
  first.writeUInt32BE(pages.length + 1, 28);
  // No page is free.
  first.fill(0, 32, 40);
  fs.writeFileSync(file, Buffer.concat([first, ...pages]));
}

function varint(value: number): Buffer {
  return value < 0x80 ? Buffer.of(value) : Buffer.of(0x80 | (value >> 7), value & 0x7f);
}

/** Returns a digest of each file in a directory, by name. */
export function contentOf(directory: string): Record<string, string> {
  const digestOf = (name: string): string =>
    createHash('sha256')
      .update(fs.readFileSync(`${directory}/${name}`))
      .digest('hex');
  return Object.fromEntries(
    fs
      .readdirSync(directory)
      .toSorted()
      .map((name) => [name, digestOf(name)]),
  );
}

function textOf({ kind, tag, body }: Row): string {
  return `${kind} ${tag.toString('hex')} ${body.toString('hex')}`;
}
