import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import fs from 'node:fs';
import { KIND, fixedTag } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import type { SqliteStore } from '../../../daemon/store/sqlite-store.ts';

const COMMITS = 60;

/** Makes a record like a sealed one, of a random size from the smallest up. */
function anyRecord(): SealedRecord {
  return { kind: KIND.value, tag: randomBytes(16), body: randomBytes(296 + 16 * randomInt(40)) };
}

/**
 * Puts some records and deletes one in each commit. Returns the remaining and the deleted records.
 *
 * @param afterCommit is called with the number of the commit
 */
export function commitAndDelete(
  store: SqliteStore,
  afterCommit: (commit: number) => void = () => undefined,
): { remaining: SealedRecord[]; deleted: SealedRecord[] } {
  const remaining: SealedRecord[] = [];
  const deleted: SealedRecord[] = [];
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const transaction = store.begin(store.get(KIND.head, fixedTag('head')));
    for (const record of Array.from({ length: 4 }, anyRecord)) {
      transaction.put(record);
      remaining.push(record);
    }
    const [victim = assert.fail()] = remaining.splice(randomInt(remaining.length), 1);
    transaction.delete(victim.kind, victim.tag);
    deleted.push(victim);
    transaction.commit();
    afterCommit(commit);
  }
  return { remaining, deleted };
}

/** Returns how many of the records are in any of the files. Missing files are skipped. */
export function countIn(files: readonly string[], records: readonly SealedRecord[]): number {
  const contents = files.filter((file) => fs.existsSync(file)).map((file) => fs.readFileSync(file));
  return records.filter(({ body }) => contents.some((bytes) => bytes.includes(Buffer.from(body.subarray(0, 32)))))
    .length;
}
