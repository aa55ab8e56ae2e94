import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { PageFile } from '../../../daemon/store/page-file.ts';
import { salvage } from '../../../daemon/store/salvage.ts';
import type { Salvaged } from '../../../daemon/store/salvage.ts';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import type { Scope } from '../../support/scope.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../vault/open-vault.ts';
import { PAGE_BYTES, editFile, pagesOf, putRow, rowsOf, zeroPage } from '../vault/raw-file.ts';

const CREDENTIALS = 120;
const LARGE_BYTES = 30_000;
/** The smallest rows have some 300 bytes. */
const ROWS_PER_PAGE_MAX = 15;

const valueOf = (name: string, version = 1): string =>
  `${version} of ${name} `.repeat(name.endsWith('7') ? LARGE_BYTES / 10 : 5);
const names = Array.from({ length: CREDENTIALS }, (_, index) => `name-${index}`);

const whole = await makeStore();
const original = fs.readFileSync(path.join(whole, STORE_FILE));

async function makeStore(): Promise<string> {
  const made = await TestVault.create({ after });
  await Promise.all(names.map((name) => made.save(name, valueOf(name))));
  await Promise.all(names.filter((name) => name.endsWith('3')).map((name) => made.save(name, valueOf(name, 2))));
  await made.save('mine', 'value', 'uid:5');
  await made.grant('uid:5', { space: 'system', kind: 'name', target: 'name-1' });
  await made.remove('name-0');
  await made.close();
  return made.directory;
}

const current = new Map(
  names.filter((name) => name !== 'name-0').map((name) => [name, valueOf(name, name.endsWith('3') ? 2 : 1)]),
);

/** Makes a directory whose damaged store was moved out of the way: it has the key file, and no store. */
function withoutStore(scope: Scope): { readonly directory: string; readonly damaged: string; readonly made: string } {
  const directory = memoryDirectory(scope);
  fs.cpSync(whole, directory, { recursive: true });
  const made = path.join(directory, STORE_FILE);
  const damaged = path.join(directory, 'damaged.db');
  fs.renameSync(made, damaged);
  return { directory, damaged, made };
}

function salvageFile(damaged: string, made: string, keysFrom?: string): Salvaged {
  const file = PageFile.open(damaged);
  const copy = keysFrom === undefined ? undefined : PageFile.open(keysFrom);
  try {
    return salvage(file, copy, made);
  } finally {
    file.close();
    copy?.close();
  }
}

/**
 * Opens the salvaged store, repairs it, and returns how many values are right. The others must be missing, and nothing
 * may be wrong.
 */
async function repaired(scope: Scope, directory: string): Promise<number> {
  const opened = await TestVault.open(scope, directory);
  assert.equal((await opened.repair()).isWhole, true);
  assert.deepEqual((await opened.fsck()).problems, []);
  assert.equal(opened.value('name-0'), undefined, 'what was removed is back');
  const right = [...current].filter(([name, value]) => {
    const read = opened.value(name);
    assert.ok(read === undefined || read === value, `${name} has another value`);
    return read === value;
  });
  await opened.save('after', 'value');
  await opened.close();
  return right.length;
}

describe('salvage()', () => {
  it('recovers everything on other pages, whichever page is lost', async (t) => {
    const inner = pagesOf(path.join(whole, STORE_FILE), 'internal');
    const [front = 0, ...leaves] = pagesOf(path.join(whole, STORE_FILE), 'leaf');
    assert.ok(inner.length > 1);
    for (const page of [1, ...inner, ...leaves.filter((_, index) => index % 4 === 0)]) {
      const { directory, damaged, made } = withoutStore(t);
      zeroPage(damaged, page);
      salvageFile(damaged, made);
      const right = await repaired(t, directory);
      if (page === 1) assert.equal(right, current.size);
      else assert.ok(right > current.size - ROWS_PER_PAGE_MAX, `page ${page}: ${right}`);
    }
    const { damaged, made } = withoutStore(t);
    zeroPage(damaged, front);
    assert.throws(
      () => salvageFile(damaged, made),
      (error) => error instanceof StoreError && error.failure === 'damaged' && /id of the store/.test(error.message),
    );
  });

  it('copies only the records that unlock the store from an older copy', async (t) => {
    const { directory, damaged, made } = withoutStore(t);
    const copy = path.join(directory, 'older.db');
    fs.writeFileSync(copy, original);
    const lost = pagesOf(path.join(whole, STORE_FILE), 'leaf')[0] ?? 0;
    zeroPage(damaged, lost);
    salvageFile(damaged, made, copy);
    const opening = (kind: number): boolean => kind === KIND.store || kind === KIND.slot || kind === KIND.dataKey;
    const found = rowsOf(made);
    assert.deepEqual(
      found.filter(({ kind }) => opening(kind)),
      rowsOf(copy).filter(({ kind }) => opening(kind)),
    );
    assert.ok(!found.some(({ kind }) => kind === KIND.head), 'more than that was taken');
    assert.ok((await repaired(t, directory)) > current.size - ROWS_PER_PAGE_MAX);
  });

  it('leaves out a row of which there are two versions, since nothing shows which is current', async (t) => {
    const { directory, damaged, made } = withoutStore(t);
    const [stale, same] = rowsOf(path.join(whole, STORE_FILE), KIND.credential);
    assert.ok(stale !== undefined && same !== undefined);
    // A misdirected write: a page of another file, with an older version of a record, behind the other pages. A record
    // with two identical copies is not doubtful.
    const elsewhere = path.join(directory, 'elsewhere.db');
    editFile(elsewhere, (database) => {
      database.exec('CREATE TABLE record (kind INTEGER, tag BLOB, body BLOB, PRIMARY KEY (kind, tag)) WITHOUT ROWID');
      putRow(database, { ...stale, body: Buffer.alloc(stale.body.length, 1) });
      putRow(database, same);
    });
    fs.appendFileSync(damaged, fs.readFileSync(elsewhere).subarray(PAGE_BYTES, 2 * PAGE_BYTES));
    const { doubtful, records } = salvageFile(damaged, made);
    assert.deepEqual([doubtful, records], [1, rowsOf(path.join(whole, STORE_FILE)).length - 1]);
    const opened = await TestVault.open(t, directory);
    const { problems } = await opened.fsck();
    assert.ok(
      problems.some(({ what, name }) => what === 'missing' && name !== undefined),
      'fsck names it',
    );
    await opened.close();
    assert.ok((await repaired(t, directory)) >= current.size - 1);
  });

  it('makes the new store completely or not at all', (t) => {
    const { directory, damaged, made } = withoutStore(t);
    const before = fs.readdirSync(directory);
    fs.truncateSync(damaged, PAGE_BYTES);
    assert.throws(() => salvageFile(damaged, made), StoreError);
    assert.deepEqual(fs.readdirSync(directory), before);
    fs.writeFileSync(damaged, original);
    for (const end of ['', '-journal']) fs.writeFileSync(`${made}.salvage${end}`, 'of one that was cut off');
    salvageFile(damaged, made);
    assert.deepEqual(fs.readdirSync(directory).toSorted(), [...before, STORE_FILE].toSorted());
    assert.deepEqual(rowsOf(made), rowsOf(path.join(whole, STORE_FILE)));
  });
});
