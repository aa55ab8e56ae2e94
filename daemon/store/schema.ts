import Database from 'better-sqlite3';

import { APPLICATION_ID, FORMAT_VERSION, MIGRATIONS, migrate, versionOf } from './migrations.ts';

/** Message for a file whose schema is not exactly the one that this program creates. */
export const FOREIGN_SCHEMA = 'the file has a table or trigger that this program did not make';

/**
 * Message for a file whose header fields another program has changed. SQLite itself ignores both fields, but this
 * daemon would refuse to open such a file the next time it starts.
 */
const FOREIGN_HEADER = 'another program changed the header of the file (application_id, user_version)';

/**
 * Returns how the header or schema of an open store differs from what this program creates; undefined if it does not.
 */
export function describeForeign(database: Database.Database): string | undefined {
  const version = versionOf(database);
  const isOwn = database.pragma('application_id', { simple: true }) === APPLICATION_ID;
  if (!isOwn || version < 1 || version > FORMAT_VERSION) return FOREIGN_HEADER;
  return hasOwnSchema(database) ? undefined : FOREIGN_SCHEMA;
}

/**
 * Tells whether a file has exactly the schema that the migrations up to its version create. Otherwise anyone who can
 * write to the file could add a trigger, which SQLite would run at the next commit.
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
