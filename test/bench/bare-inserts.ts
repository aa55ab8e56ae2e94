/**
 * The reference of the row about `Create`: better-sqlite3 alone, one insert per transaction, as durable as the daemon's
 * store (`journal_mode=WAL`, `synchronous=FULL`). A row has a random key of 16 bytes, as the daemon's rows do, by which
 * it can be found, and is as long as what the daemon stores for one credential. The table is the plainest possible;
 * better-sqlite3 is no slower with it than with the daemon's own. Started by `rows/create.ts`.
 *
 *     node bare-inserts.ts FILE
 */
import { randomBytes } from 'node:crypto';
import Database from 'better-sqlite3';

/** The sealed record of a credential with its value (424 bytes), and a 64th of a list of names (1896 bytes). */
const BODY_BYTES = 454;
const KEY_BYTES = 16;

const database = new Database(process.argv[2]);
database.pragma('journal_mode = WAL');
database.pragma('synchronous = FULL');
database.exec('CREATE TABLE record (key BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT');
const insert = database.prepare('INSERT INTO record (key, body) VALUES (?, ?)');

process.on('message', (count: number) => {
  const rows = Array.from({ length: count }, () => ({ key: randomBytes(KEY_BYTES), body: randomBytes(BODY_BYTES) }));
  const startedMs = performance.now();
  for (const { key, body } of rows) insert.run(key, body);
  process.send?.(performance.now() - startedMs);
});
process.on('disconnect', () => process.exit());
