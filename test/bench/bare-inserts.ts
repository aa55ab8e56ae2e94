/**
 * The reference of the row about `Create`: better-sqlite3 alone, one insert in each transaction, as durable as the
 * daemon's store (`journal_mode=WAL`, `synchronous=FULL`). Each row has a random tag of 16 bytes and a body as long as what
 * the daemon stores for one credential, in the daemon's own table. Started by `rows/create.ts`.
 *
 *     node bare-inserts.ts FILE
 */
import { randomBytes } from 'node:crypto';
import Database from 'better-sqlite3';

/** The sealed records of a credential and of its value, 296 bytes each. */
const BODY_BYTES = 592;
const TAG_BYTES = 16;

const database = new Database(process.argv[2]);
database.pragma('journal_mode = WAL');
database.pragma('synchronous = FULL');
database.exec(
  'CREATE TABLE record (kind INTEGER NOT NULL, tag BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, tag)) STRICT, WITHOUT ROWID',
);
const insert = database.prepare('INSERT INTO record (kind, tag, body) VALUES (5, ?, ?)');

process.on('message', (count: number) => {
  const rows = Array.from({ length: count }, () => ({ tag: randomBytes(TAG_BYTES), body: randomBytes(BODY_BYTES) }));
  const startedMs = performance.now();
  for (const { tag, body } of rows) insert.run(tag, body);
  process.send?.(performance.now() - startedMs);
});
process.on('disconnect', () => process.exit());
