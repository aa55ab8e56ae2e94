import Database from 'better-sqlite3';
import { KIND } from '../../daemon/store/sealed-store.ts';
import { INLINE_BYTES_MAX } from '../../daemon/vault/records.ts';
import type { Scope } from '../support/scope.ts';
import { ROOT, restartCore, startCore } from './core.ts';
import type { Core } from './core.ts';

/** A value too large for the record of its credential: it gets a record of its own. */
export const VALUE_IN_OWN_RECORD: string = 'x'.repeat(INLINE_BYTES_MAX + 1);

/** Kinds of records, by their names in the file format. */
export type KindName = keyof typeof KIND;

/** Returns the records of a kind in a store's file: bodies by tags, both in hex. */
export function recordsIn(storePath: string, kind: KindName): Map<string, string> {
  return withFile(storePath, (database) => {
    const rows = database.prepare<[number], { tag: string; body: string }>(
      'SELECT hex(tag) AS tag, hex(body) AS body FROM record WHERE kind = ?',
    );
    return new Map(rows.all(KIND[kind]).map(({ tag, body }) => [tag, body]));
  });
}

/** Returns the tags that are only in the second listing. */
export function newTags(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...after.keys()].filter((tag) => !before.has(tag));
}

/** Flips one bit in the middle of a record's body. */
export function flipBit(storePath: string, kind: KindName, tag: string): void {
  withFile(storePath, (database) => {
    const body = Buffer.from(recordsIn(storePath, kind).get(tag) ?? '', 'hex');
    const middle = Math.floor(body.length / 2);
    body.writeUInt8(body.readUInt8(middle) ^ 1, middle);
    database
      .prepare('UPDATE record SET body = ? WHERE kind = ? AND tag = ?')
      .run(body, KIND[kind], Buffer.from(tag, 'hex'));
  });
}

/** Deletes a record from the file. */
export function deleteRecord(storePath: string, kind: KindName, tag: string): void {
  withFile(storePath, (database) => {
    database.prepare('DELETE FROM record WHERE kind = ? AND tag = ?').run(KIND[kind], Buffer.from(tag, 'hex'));
  });
}

/**
 * Starts a core in whose store one record of the credential `broken` was changed: its value, or the record of the
 * credential itself. The credentials `first` and `last`, stored before and after it, are intact.
 */
export async function coreWithDamage(
  scope: Scope,
  kind: KindName,
  change: typeof flipBit | typeof deleteRecord,
): Promise<Core> {
  const before = await startCore(scope);
  await before.create(ROOT, 'first');
  const records = recordsIn(before.storePath, kind);
  await before.replace(ROOT, 'broken', kind === 'value' ? VALUE_IN_OWN_RECORD : 'small');
  const [tag = ''] = newTags(records, recordsIn(before.storePath, kind));
  await before.create(ROOT, 'last');
  return restartCore(scope, before, () => change(before.storePath, kind, tag));
}

function withFile<Result>(path: string, work: (database: Database.Database) => Result): Result {
  const database = new Database(path);
  try {
    return work(database);
  } finally {
    database.close();
  }
}
