import Database from 'better-sqlite3';

import { APPLICATION_ID, FORMAT_VERSION, MIGRATIONS, migrate, versionOf } from './migrations.ts';

/** What is told of a file that has more, or something else. */
export const FOREIGN_SCHEMA = 'the file has a table or trigger that this program did not make';

/** What is told of one that would not be opened again: SQLite goes by neither of the two. */
const FOREIGN_HEADER = 'another program changed the header of the file (application_id, user_version)';

/** What of an open store is not as this program made it; undefined where nothing is. */
export function describeForeign(database: Database.Database): string | undefined {
  const version = versionOf(database);
  const isOwn = database.pragma('application_id', { simple: true }) === APPLICATION_ID;
  if (!isOwn || version < 1 || version > FORMAT_VERSION) return FOREIGN_HEADER;
  return hasOwnSchema(database) ? undefined : FOREIGN_SCHEMA;
}

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
