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
export function live(
  store: SqliteStore,
  afterCommit: (commit: number) => void = () => undefined,
): { left: SealedRecord[]; gone: SealedRecord[] } {
  const left: SealedRecord[] = [];
  const gone: SealedRecord[] = [];
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const transaction = store.begin(store.get(KIND.head, fixedTag('head')));
    for (const record of Array.from({ length: 4 }, anyRecord)) {
      transaction.put(record);
      left.push(record);
    }
    const [deleted = assert.fail()] = left.splice(randomInt(left.length), 1);
    transaction.delete(deleted.kind, deleted.tag);
    gone.push(deleted);
    transaction.commit();
    afterCommit(commit);
  }
  return { left, gone };
}

/** Returns how many of the records are in any of the files. Missing files are skipped. */
export function countIn(files: readonly string[], records: readonly SealedRecord[]): number {
  const contents = files.filter((file) => fs.existsSync(file)).map((file) => fs.readFileSync(file));
  return records.filter(({ body }) => contents.some((bytes) => bytes.includes(Buffer.from(body.subarray(0, 32)))))
    .length;
}
