/**
 * Looks at every page of an SQLite file, and at the sizes in its records: `page-inspector FILE LARGEST-BODY`. Prints one
 * line when it begins, and what is wrong, a line each; nothing more where nothing is.
 *
 * A program of its own: SQLite goes through a file in one call, which takes as long as the file is large, and may never end
 * in one that somebody made up; and what such a file does to it, it does to a process that has no keys.
 */
import { existsSync, statSync } from 'node:fs';

import Database from 'better-sqlite3';

import { journalOf } from './database-file.ts';
import { isOfSystem } from './file-error.ts';
import { describeForeign } from './schema.ts';
import { bytesOf } from './sqlite-connection.ts';
import { StoreDisk } from './store-disk.ts';

/** Most lines that are told. */
const LINES_MAX = 20;

process.stdout.write('looking\n');
const [, , path = '', largestBody = ''] = process.argv;
for (const line of inspect(path, Number(largestBody))) process.stdout.write(`${line.replaceAll('\n', ' ')}\n`);

function inspect(file: string, bodyBytesMax: number): string[] {
  let database: Database.Database | undefined;
  // SQLite makes an empty one.
  const hasJournal = existsSync(journalOf(file));
  try {
    database = new Database(file, { readonly: true });
    database.pragma('trusted_schema = OFF');
    database.pragma('cell_size_check = ON');
    const foreign = describeForeign(database);
    if (foreign !== undefined) return [foreign];
    if (!hasJournal && isCut(file, database)) return ['the last page of the file is cut'];
    const found = database.pragma(`integrity_check(${LINES_MAX})`) as { integrity_check: string }[];
    const damage = found.map((row) => row.integrity_check).filter((line) => line !== 'ok');
    if (damage.length > 0) return damage;
    // The pages tell it, without the bodies being read.
    const largest = database.prepare<[], number | null>('SELECT max(length(body)) FROM record').pluck().get() ?? 0;
    return largest > bodyBytesMax ? ['a record is larger than this program makes one'] : [];
  } catch (error) {
    // What the system refuses is no fault of the file: nobody has looked at it then.
    if (existsSync(file) && (isOfSystem(error) || StoreDisk.open(file).whyNotRead() !== undefined)) throw error;
    return [error instanceof Error ? error.message : 'the file cannot be read'];
  } finally {
    database?.close();
  }
}

/** SQLite reads zeros in the place of the bytes that lack, and finds nothing wrong with them. Of no use where pages are in a journal. */
function isCut(file: string, database: Database.Database): boolean {
  return statSync(file).size < bytesOf(database);
}
