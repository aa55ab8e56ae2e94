/**
 * Checks every page of an SQLite file, and the sizes of its records: `page-inspector FILE LARGEST-BODY`. Prints one
 * line when it begins, and then one line per problem.
 *
 * A program of its own, for two reasons. SQLite checks a file in one synchronous call, which takes long for a large
 * file and may never end for a crafted one. And if a crafted file exploits SQLite, it does so in a process without
 * keys.
 */
import { existsSync, statSync } from 'node:fs';

import Database from 'better-sqlite3';

import { walOf } from './database-file.ts';
import { isOfSystem } from './file-error.ts';
import { describeForeign } from './schema.ts';
import { bytesOf } from './sqlite-connection.ts';
import { StoreDisk } from './store-disk.ts';

/** Most problems that are printed. */
const LINES_MAX = 20;

process.stdout.write('looking\n');
const [, , path = '', largestBody = ''] = process.argv;
for (const line of inspect(path, Number(largestBody))) process.stdout.write(`${line.replaceAll('\n', ' ')}\n`);

function inspect(file: string, bodyBytesMax: number): string[] {
  let database: Database.Database | undefined;
  // Asked first, because SQLite creates an empty WAL.
  const hasWal = existsSync(walOf(file));
  try {
    database = new Database(file, { readonly: true });
    database.pragma('trusted_schema = OFF');
    database.pragma('cell_size_check = ON');
    const foreign = describeForeign(database);
    if (foreign !== undefined) return [foreign];
    if (!hasWal && isCut(file, database)) return ['the last page of the file is cut'];
    const found = database.pragma(`integrity_check(${LINES_MAX})`) as { integrity_check: string }[];
    const damage = found.map((row) => row.integrity_check).filter((line) => line !== 'ok');
    if (damage.length > 0) return damage;
    // SQLite takes the lengths from the row headers, without reading the bodies.
    const largest = database.prepare<[], number | null>('SELECT max(length(body)) FROM record').pluck().get() ?? 0;
    return largest > bodyBytesMax ? ['a record is larger than any that this program writes'] : [];
  } catch (error) {
    // An error of the system is no damage of the file, which could not be checked then.
    if (existsSync(file) && (isOfSystem(error) || StoreDisk.open(file).readError() !== undefined)) throw error;
    return [error instanceof Error ? error.message : 'the file cannot be read'];
  } finally {
    database?.close();
  }
}

/**
 * Tells whether the last page of the file is incomplete. SQLite reads zeros for the missing bytes and does not report
 * it. Meaningless if pages are in a WAL.
 */
function isCut(file: string, database: Database.Database): boolean {
  return statSync(file).size < bytesOf(database);
}
