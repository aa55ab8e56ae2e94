import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { KIND, fixedTag } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';

const COMMITS = 60;

/** As the sealing makes them: of any size above that of the smallest. */
function anyRecord(): SealedRecord {
  return { kind: KIND.value, tag: randomBytes(16), body: randomBytes(296 + 16 * randomInt(40)) };
}

/** Puts some and deletes one in each commit, with a purge now and then, and gives what is left and what is not. */
function live(store: SqliteStore): { left: SealedRecord[]; gone: SealedRecord[] } {
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
    if (commit % 7 === 0) store.purge();
  }
  return { left, gone };
}

function found(directory: string, records: readonly SealedRecord[]): number {
  const files = fs.readdirSync(directory).map((name) => fs.readFileSync(path.join(directory, name)));
  return records.filter(({ body }) => files.some((bytes) => bytes.includes(Buffer.from(body.subarray(0, 32))))).length;
}

describe('what was deleted', () => {
  it('is nowhere in the file or its journal after a purge, nor after the next change', async (t) => {
    for (let round = 0; round < 20; round += 1) {
      const directory = memoryDirectory(t);
      const store = SqliteStore.open(path.join(directory, 'credentials.db'));
      const { left, gone } = live(store);
      store.purge();
      assert.equal(found(directory, gone), 0, 'after the purge');
      // What SQLite has of a page in memory is what it writes of it next.
      const next = live(store);
      assert.equal(found(directory, gone), 0, 'after other changes');
      store.purge();
      assert.equal(found(directory, [...gone, ...next.gone]), 0, 'after both');
      assert.deepEqual(await store.findPageDamage(), []);
      for (const { kind, tag, body } of [...left, ...next.left]) {
        assert.deepEqual(Buffer.from(store.get(kind, tag) ?? []), Buffer.from(body));
      }
      store.close();
    }
  });

  it('is nowhere in it either where a daemon was killed before it was purged', (t) => {
    for (let round = 0; round < 20; round += 1) {
      const directory = memoryDirectory(t);
      const store = SqliteStore.open(path.join(directory, 'credentials.db'));
      const { gone } = live(store);
      const killed = memoryDirectory(t);
      for (const end of ['', '-wal']) {
        fs.copyFileSync(path.join(directory, `credentials.db${end}`), path.join(killed, `credentials.db${end}`));
      }
      store.close();
      const again = SqliteStore.open(path.join(killed, 'credentials.db'));
      again.purge();
      assert.equal(found(killed, gone), 0);
      again.close();
    }
  });
});
