import Database from 'better-sqlite3';

import { MIGRATIONS, migrate, versionOf } from './migrations.ts';

/** What is told of a file that has more, or something else. */
export const FOREIGN_SCHEMA = 'the file has a table or trigger that this program did not make';

/**
 * Tells whether a file has what the migrations to its version make, and nothing else: whoever can write to it could add a
 * trigger, which SQLite would run at the next commit.
 */
export function hasOwnSchema(database: Database.Database): boolean {
  const fresh = new Database(':memory:');
  try {
    migrate(fresh, MIGRATIONS.slice(0, versionOf(database)));
    return schemaOf(database) === schemaOf(fresh);
  } finally {
    fresh.close();
  }
}

function schemaOf(database: Database.Database): string {
  return JSON.stringify(database.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all());
}
