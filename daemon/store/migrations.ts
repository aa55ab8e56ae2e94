import type Database from 'better-sqlite3';

/** `application_id` of the file (SQLite header, offset 68): "cioc". */
export const APPLICATION_ID = 0x63_69_6f_63;

/**
 * What makes each version of the file out of the one before; `user_version` (offset 60) counts them. A migration that
 * was released is never changed. Rows are opaque here: what is inside of records is the vault's to migrate.
 */
export const MIGRATIONS: readonly ((database: Database.Database) => void)[] = [
  (database) =>
    database.exec(`
      CREATE TABLE record (
        kind INTEGER NOT NULL,
        tag  BLOB    NOT NULL,
        body BLOB    NOT NULL,
        PRIMARY KEY (kind, tag)
      ) STRICT, WITHOUT ROWID;
      PRAGMA application_id = ${APPLICATION_ID};
    `),
  // Small values lie in the records of their credentials, with lists of names; those that are there already stay as they are.
  () => undefined,
];

/** The newest version of the file that this program reads and writes. */
export const FORMAT_VERSION: number = MIGRATIONS.length;

/** The version of an open file; 0 where nothing was committed to it yet. */
export function versionOf(database: Database.Database): number {
  return database.pragma('user_version', { simple: true }) as number;
}

/** Brings the file to {@link FORMAT_VERSION}, each step in a transaction of its own. */
export function migrate(database: Database.Database, migrations: typeof MIGRATIONS = MIGRATIONS): void {
  for (let next = versionOf(database); next < migrations.length; next += 1) {
    database
      .transaction(() => {
        migrations[next]?.(database);
        database.pragma(`user_version = ${next + 1}`);
      })
      .immediate();
  }
}
