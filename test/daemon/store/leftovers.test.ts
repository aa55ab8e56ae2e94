import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { overwriteLeftovers, pagesInFile } from '../../../daemon/store/leftovers.ts';
import { PageFile } from '../../../daemon/store/page-file.ts';
import { salvage } from '../../../daemon/store/salvage.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { commitAndDelete, countIn } from './deleted-rows.ts';

/** Purges now and then. */
function commitDeleteAndPurge(store: SqliteStore): ReturnType<typeof commitAndDelete> {
  return commitAndDelete(store, (commit) => {
    if (commit % 7 === 0) store.purge();
  });
}

function found(directory: string, records: readonly SealedRecord[]): number {
  const files = fs.readdirSync(directory).map((name) => path.join(directory, name));
  return countIn(files, records);
}

describe('a deleted row', () => {
  it('is nowhere in the file or the WAL after a purge, nor after the next change', async (t) => {
    for (let round = 0; round < 20; round += 1) {
      const directory = memoryDirectory(t);
      const store = SqliteStore.open(path.join(directory, 'credentials.db'));
      const { remaining, deleted } = commitDeleteAndPurge(store);
      store.purge();
      assert.equal(found(directory, deleted), 0, 'after the purge');
      // SQLite writes a changed page from its page cache, leftovers included.
      const next = commitDeleteAndPurge(store);
      assert.equal(found(directory, deleted), 0, 'after other changes');
      store.purge();
      assert.equal(found(directory, [...deleted, ...next.deleted]), 0, 'after both');
      assert.deepEqual(await store.findPageDamage(), []);
      for (const { kind, tag, body } of [...remaining, ...next.remaining]) {
        assert.deepEqual(Buffer.from(store.get(kind, tag) ?? []), Buffer.from(body));
      }
      store.close();
    }
  });

  it('is nowhere after a purge even if a daemon was killed before', (t) => {
    for (let round = 0; round < 20; round += 1) {
      const directory = memoryDirectory(t);
      const store = SqliteStore.open(path.join(directory, 'credentials.db'));
      const { deleted } = commitDeleteAndPurge(store);
      const killed = memoryDirectory(t);
      for (const end of ['', '-wal']) {
        fs.copyFileSync(path.join(directory, `credentials.db${end}`), path.join(killed, `credentials.db${end}`));
      }
      store.close();
      const again = SqliteStore.open(path.join(killed, 'credentials.db'));
      again.purge();
      assert.equal(found(killed, deleted), 0);
      again.close();
    }
  });

  it('is not beside the rows that were salvaged from a damaged file either', (t) => {
    const directory = memoryDirectory(t);
    const file = path.join(directory, 'credentials.db');
    const store = SqliteStore.open(file);
    const transaction = store.begin(undefined);
    for (const kind of [KIND.store, KIND.slot, KIND.dataKey]) {
      transaction.put({ kind, tag: Buffer.of(1), body: Buffer.of(kind) });
    }
    transaction.commit();
    commitDeleteAndPurge(store);
    store.close();
    const damaged = PageFile.open(file);
    const saved = path.join(directory, 'saved.db');
    assert.equal(salvage(damaged, undefined, saved).doubtful, 0);
    damaged.close();
    const pages = fs.openSync(saved, 'r+');
    assert.equal(overwriteLeftovers(pages, pagesInFile(pages)), false);
    fs.closeSync(pages);
  });
});
