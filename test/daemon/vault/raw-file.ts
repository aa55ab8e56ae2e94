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
