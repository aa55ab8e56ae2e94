import type Database from 'better-sqlite3';

/** `application_id` of the file (SQLite header, offset 68): "cioc". */
export const APPLICATION_ID = 0x63_69_6f_63;

/**
 * The migrations, each from one version of the file to the next; `user_version` (offset 60) counts them. A released
 * migration is never changed. Rows are opaque here: the contents of records are migrated by the vault.
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
  // Version 2: small values are stored inline in the records of their credentials, and there are lists of names.
  // Existing records stay as they are.
  () => undefined,
];

/** The newest version of the file that this program reads and writes. */
export const FORMAT_VERSION: number = MIGRATIONS.length;

/** Returns the format version of an open file; 0 if nothing was committed to it yet. */
export function versionOf(database: Database.Database): number {
  return database.pragma('user_version', { simple: true }) as number;
}

/** Migrates the file to {@link FORMAT_VERSION}, each step in a transaction of its own. */
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
