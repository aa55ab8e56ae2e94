import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { SelfCheck } from '../../../daemon/vault/self-check.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { eventually } from '../../support/eventually.ts';
import type { Scope } from '../../support/scope.ts';
import { inspectWith } from '../store/page-inspectors.ts';
import { TestVault } from './open-vault.ts';
import { PAGE_BYTES, deleteRow, forgePages, putRow, rowsOf, treePage } from './raw-file.ts';
import type { Row } from './raw-file.ts';

const MINUTE_MS = 60_000;
const SECOND_MS = 1000;
/** Longer than a purge waits for a check; and how many checks in a row are given up for a purge. */
const PURGE_WAITS_SECONDS = 12;
const GIVEN_UP_MAX = 3;
/** More turns than a repair and a commit take. */
const TURNS_OF_OTHERS = 500;

interface Checked {
  readonly check: SelfCheck;
  /** How often the check reported damage, and its failures. */
  readonly heard: { damaged: number; failures: unknown[] };
}

function checkOf(scope: Scope, { vault }: TestVault): Checked {
  const heard: Checked['heard'] = { damaged: 0, failures: [] };
  const check = new SelfCheck(vault, {
    onDamaged: () => {
      heard.damaged += 1;
    },
    onFailed: (error) => void heard.failures.push(error),
  });
  scope.after(() => check.stop());
  return { check, heard };
}

async function withValues(scope: Scope): Promise<TestVault> {
  const made = await TestVault.create(scope);
  await Promise.all(Array.from({ length: 40 }, (_, index) => made.save(`a${index}`, `value ${index}`)));
  return made;
}

/** Queues other long reads, so that the check waits between its snapshot and its first read. */
function runBehindOthers(check: SelfCheck, { vault }: TestVault): Promise<void> {
  for (let turn = 0; turn < TURNS_OF_OTHERS; turn += 1) void vault.turns.next(undefined);
  return check.run();
}

describe('SelfCheck.run()', () => {
  it('finds an intact store intact, even while it is written to', async (t) => {
    const made = await withValues(t);
    const { check, heard } = checkOf(t, made);
    assert.equal(check.isIntact, undefined);
    const running = check.run();
    for (let round = 0; round < 5; round += 1) await made.save(`a${round}`, 'changed meanwhile');
    await made.remove('a39');
    await running;
    assert.equal(check.isIntact, true);
    assert.deepEqual(heard, { damaged: 0, failures: [] });
    assert.deepEqual(made.purgeFailures, []);
  });

  it('reports rows that were put back, deleted or added while no daemon ran', async (t) => {
    const made = await withValues(t);
    const before = rowsOf(made.path).filter(({ kind }) => kind !== KIND.head);
    await made.save('a0', 'newer');
    const [value] = rowsOf(made.path, KIND.value);
    assert.ok(value !== undefined);
    const changes: readonly (readonly [what: string, edit: Parameters<TestVault['tampered']>[0]])[] = [
      ['all but the head put back', (database) => before.forEach((row) => putRow(database, row))],
      ['a value deleted', (database) => deleteRow(database, value)],
      ['a value added', (database) => putRow(database, { ...value, tag: Buffer.alloc(16, 1) })],
    ];
    for (const [what, edit] of changes) {
      const opened = await made.tampered(edit);
      const { check, heard } = checkOf(t, opened);
      await check.run();
      assert.deepEqual([check.isIntact, heard.damaged], [false, 1], what);
      await opened.close();
    }
  });

  it('reports a b-tree in which a look-up by key finds an older record than a scan', async (t) => {
    const made = await TestVault.create(t);
    await made.save('other', 'value');
    await made.save('password', 'old');
    const before = rowsOf(made.path, KIND.credential);
    await made.save('password', 'new');
    await made.close();
    const rows = rowsOf(made.path);
    const old = before.find(({ tag, body }) => rows.some((row) => row.tag.equals(tag) && !row.body.equals(body)));
    assert.ok(old !== undefined);
    const { kind, tag } = old;
    const beside = (step: bigint): Row => {
      const hex = (BigInt(`0x${tag.toString('hex')}`) + step).toString(16).padStart(2 * tag.length, '0');
      return { kind, tag: Buffer.from(hex, 'hex'), body: Buffer.of(0) };
    };
    // A scan of the credentials runs through the left leaf, to the row of another kind at its end.
    const end = { kind: KIND.value, tag: Buffer.alloc(tag.length), body: Buffer.of(0) };
    const left = [...rows.filter((row) => row.kind <= kind), end];
    const right = rows.filter((row) => row.kind > kind || (row.kind === kind && row.tag.compare(tag) > 0));
    forgePages(made.path, [
      treePage([beside(-1n)], [3, 4]),
      treePage(left),
      treePage([beside(1n)], [5, 6]),
      treePage([old]),
      treePage(right),
    ]);
    const opened = await made.reopened();
    assert.deepEqual([opened.value('password'), opened.value('other')], ['old', 'value']);
    const { check, heard } = checkOf(t, opened);
    await check.run();
    assert.deepEqual([check.isIntact, heard.damaged], [false, 1]);
    assert.ok((await opened.fsck()).problems.some(({ what }) => what === 'page'));
  });

  it('reports a page that cannot be read', async (t) => {
    const made = await withValues(t);
    await made.close();
    const bytes = fs.readFileSync(made.path);
    // Behind the page of the schema and the root page: leaves, whose headers hold their type and their number of cells.
    for (let page = 3; (page + 1) * PAGE_BYTES <= bytes.length; page += 1)
      bytes.fill(0xff, page * PAGE_BYTES, page * PAGE_BYTES + 8);
    fs.writeFileSync(made.path, bytes);
    const { check, heard } = checkOf(t, await made.reopened());
    await check.run();
    assert.deepEqual([check.isIntact, heard], [false, { damaged: 1, failures: [] }]);
  });

  it('has no result for a store that is locked or rekeyed during the check', async (t) => {
    const made = await withValues(t);
    const { check, heard } = checkOf(t, made);
    for (const work of [() => made.rekey(), () => made.vault.lock()]) {
      const [looked] = await Promise.allSettled([check.run(), work()]);
      assert.equal(looked.status, 'fulfilled');
      assert.equal(check.isIntact, undefined);
    }
    assert.deepEqual(heard, { damaged: 0, failures: [] });
    assert.deepEqual(made.purgeFailures, []);
  });

  it('does not apply what it read before a repair to the store after it', async (t) => {
    const made = await withValues(t);
    const opened = await made.tampered((database) => {
      for (const row of rowsOf(made.path, KIND.credential).slice(0, 1)) deleteRow(database, row);
    });
    const { check, heard } = checkOf(t, opened);
    const running = runBehindOthers(check, opened);
    await opened.repair();
    await running;
    assert.deepEqual([check.isIntact, heard], [undefined, { damaged: 0, failures: [] }]);
    await check.run();
    assert.equal(check.isIntact, true);
  });

  it('gives way to a waiting purge, but completes all the same in the end', async (t) => {
    const made = await withValues(t);
    const { check, heard } = checkOf(t, made);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    // Each time the purge cannot run, it is put off again.
    const wait = (): void => {
      for (let second = 0; second < PURGE_WAITS_SECONDS; second += 1) t.mock.timers.tick(SECOND_MS);
    };
    for (let round = 0; round < GIVEN_UP_MAX; round += 1) {
      const running = runBehindOthers(check, made);
      await made.remove(`a${round}`);
      wait();
      await running;
      assert.equal(check.isIntact, undefined);
    }
    const running = runBehindOthers(check, made);
    await made.remove('a39');
    wait();
    await running;
    assert.equal(check.isIntact, true);
    assert.deepEqual([heard, made.purgeFailures], [{ damaged: 0, failures: [] }, []]);
  });
});

describe('SelfCheck.start()', () => {
  it('tries again after a temporary failure', async (t) => {
    const made = await withValues(t);
    const { check, heard } = checkOf(t, made);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const failure = new Error('no descriptor is left');
    const failing = t.mock.method(made.vault, 'readSnapshot', () => Promise.reject(failure), { times: 1 });
    check.start();
    t.mock.timers.tick(MINUTE_MS);
    await eventually(() => heard.failures.length !== 0);
    assert.deepEqual([check.isIntact, heard.failures, failing.mock.callCount()], [undefined, [failure], 1]);
    t.mock.timers.tick(15 * MINUTE_MS);
    await eventually(() => check.isIntact !== undefined);
    assert.equal(check.isIntact, true);
  });

  it('does not take a check of the pages that could not be made for damage, and tries again', async (t) => {
    const made = await withValues(t);
    const { check, heard } = checkOf(t, made);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const node = process.execPath;
    const ends = ['kill -KILL $$', 'kill -SEGV $$', 'exit 1'];
    // As large as a store that is checked in another process.
    t.mock.method(made.store, 'copyBytes', () => 32 * 1024 ** 2);
    check.start();
    for (const [index, end] of ends.entries()) {
      inspectWith(t, end);
      t.mock.timers.tick(15 * MINUTE_MS);
      await eventually(() => heard.failures.length > index || heard.damaged > 0);
      assert.deepEqual([check.isIntact, heard.damaged, heard.failures.length], [undefined, 0, index + 1], end);
      assert.ok(isCredentialError(heard.failures[index], 'StorageFailed'));
    }
    process.execPath = node;
    t.mock.timers.tick(15 * MINUTE_MS);
    await eventually(() => check.isIntact !== undefined);
    assert.deepEqual([check.isIntact, heard.damaged, made.purgeFailures], [true, 0, []]);
  });

  it('checks a minute after the store is opened, and again after a repair', async (t) => {
    const made = await withValues(t);
    const opened = await made.tampered((database) => {
      for (const row of rowsOf(made.path, KIND.credential).slice(0, 1)) deleteRow(database, row);
    });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { check, heard } = checkOf(t, opened);
    check.start();
    t.mock.timers.tick(MINUTE_MS - 1);
    assert.equal(check.isIntact, undefined);
    t.mock.timers.tick(1);
    await eventually(() => check.isIntact !== undefined);
    assert.equal(check.isIntact, false);
    await opened.repair();
    assert.equal(check.isIntact, undefined);
    t.mock.timers.tick(MINUTE_MS);
    await eventually(() => check.isIntact !== undefined);
    assert.equal(check.isIntact, true);
    assert.deepEqual(heard, { damaged: 1, failures: [] });
  });
});
