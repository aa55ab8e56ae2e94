import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HealthRecords, WRITE_PAUSE_MS } from '../../../daemon/health/health-records.ts';
import { createLog } from '../../../daemon/log.ts';
import { REPEAT_INTERVAL_MS } from '../../../daemon/rate-limited-log.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import type { HealthRecord } from '../../../daemon/vault/records.ts';
import { prepareReplacement } from '../../../daemon/vault/replace.ts';
import { isCredentialError } from '../../../src/errors.ts';
import type { Finding } from '../../../src/validation.ts';
import type { Unlocked } from '../../../daemon/vault/unlocked.ts';
import { NOW, TestVault } from '../vault/open-vault.ts';

const PASSED: readonly Finding[] = [{ check: 'key', state: 'passed' }];
const FAILED: readonly Finding[] = [
  { check: 'shape', state: 'warning', reason: 'plain_http', field: 'backup_repo' },
  { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' },
  { check: 'bucket', state: 'failed', reason: 'access_denied' },
];

/** The health records of a store with one set, and its clock. */
class RecordsOnStore {
  readonly opened: TestVault;
  readonly lines: string[] = [];
  readonly health: HealthRecords;
  now = NOW;
  readonly #unlocked: Unlocked;

  constructor(opened: TestVault) {
    this.opened = opened;
    this.#unlocked = opened.vault.unlocked();
    this.health = new HealthRecords(
      opened.vault,
      createLog((line) => void this.lines.push(line), false),
      () => this.now,
    );
  }

  /** The number of commits so far. */
  get commits(): number {
    return this.opened.vault.unlocked().head?.commits ?? 0;
  }

  last(): HealthRecord | undefined {
    return this.opened.vault.read((reader) => this.health.last(reader, 'system', 'aws'));
  }

  async record(findings: readonly Finding[], generation = 1): Promise<boolean> {
    const unlocked = this.#unlocked;
    return (await this.health.record({ space: 'system', set: 'aws', generation, findings, unlocked })) !== undefined;
  }
}

async function startRecords(t: Parameters<typeof TestVault.create>[0]): Promise<RecordsOnStore> {
  const opened = await TestVault.create(t);
  await opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ');
  return new RecordsOnStore(opened);
}

describe('HealthRecords', () => {
  it('keeps the first failure, and the time of the last success', async (t) => {
    const onStore = await startRecords(t);
    await onStore.record(PASSED);
    onStore.now += 1000;
    await onStore.record(FAILED);
    const known = { space: 'system', set: 'aws', generation: 1 };
    assert.deepEqual(onStore.last(), { ...known, state: 'failed', checked: NOW + 1000, good: NOW, finding: FAILED[1] });
  });

  it('does not accept a validation without writes as a proof that writing works again', async (t) => {
    const onStore = await startRecords(t);
    const denied: Finding = { check: 'write', state: 'failed', reason: 'access_denied', subject: 's3:PutObject' };
    const restoreOnly: readonly Finding[] = [...PASSED, { check: 'write', state: 'skipped', reason: 'restore_only' }];
    await onStore.record([...PASSED, denied]);
    await onStore.record(restoreOnly);
    assert.deepEqual(
      [onStore.last()?.state, onStore.last()?.finding, onStore.last()?.good],
      ['failed', denied, undefined],
    );
    await onStore.record([...PASSED, { check: 'write', state: 'passed' }]);
    await onStore.record(restoreOnly);
    assert.equal(onStore.last()?.state, 'passed');
    await onStore.record([...PASSED, denied], 1);
    await onStore.record(restoreOnly, 2);
    assert.equal(onStore.last()?.state, 'passed', 'of another generation nothing is known but this');
    await onStore.record(FAILED, 2);
    await onStore.record(restoreOnly, 2);
    assert.equal(onStore.last()?.state, 'passed', 'what failed was tried again');
  });

  it('writes the same result again only after a pause, but always knows it', async (t) => {
    const onStore = await startRecords(t);
    await onStore.record(PASSED);
    const { commits } = onStore;
    for (let minute = 1; minute < 60; minute += 1) {
      onStore.now += 60_000;
      await onStore.record(PASSED);
      assert.equal(onStore.last()?.checked, onStore.now);
    }
    assert.equal(onStore.commits, commits);
    onStore.now = NOW + WRITE_PAUSE_MS;
    await onStore.record(PASSED);
    assert.equal(onStore.commits, commits + 1);
  });

  it('writes a different result at once: another state, reason or generation', async (t) => {
    const onStore = await startRecords(t);
    const other: readonly Finding[] = [{ check: 'key', state: 'failed', reason: 'unknown_access_key' }];
    for (const [findings, generation] of [
      [PASSED, 1],
      [FAILED, 1],
      [other, 1],
      [PASSED, 1],
      [PASSED, 2],
    ] as const) {
      const { commits } = onStore;
      onStore.now += 1000;
      await onStore.record(findings, generation);
      assert.equal(onStore.commits, commits + 1);
    }
  });

  it('keeps its results across a restart, except for unwritten ones', async (t) => {
    const onStore = await startRecords(t);
    await onStore.record(FAILED);
    const written = onStore.last();
    onStore.now += 1000;
    await onStore.record(FAILED);
    const again = new RecordsOnStore(await onStore.opened.reopened());
    assert.deepEqual(again.last(), written);
    assert.equal(await again.health.countFailing(), 1);
  });

  it('forgets the result of a set that was removed and made again', async (t) => {
    const onStore = await startRecords(t);
    await onStore.record(PASSED);
    onStore.now += 1000;
    await onStore.record(PASSED);
    await onStore.opened.save('cio_aws_secret_key', 'secret');
    assert.deepEqual(
      [onStore.last()?.checked, onStore.health.remembered],
      [onStore.now, 1],
      'a set that changes is there',
    );
    await onStore.opened.remove('cio_aws_secret_key');
    await onStore.opened.remove('cio_aws_access_key');
    assert.deepEqual([onStore.last(), onStore.health.remembered], [undefined, 0]);
    assert.equal(await onStore.record(PASSED), false, 'there is nothing to know anything of');
    await onStore.opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ');
    assert.equal(onStore.last(), undefined);
  });

  it('does not replace the result of a newer generation with that of an older one', async (t) => {
    const onStore = await startRecords(t);
    await onStore.record(PASSED, 2);
    assert.equal(await onStore.record(FAILED, 1), false);
    assert.equal(onStore.last()?.state, 'passed');
  });

  it('does not keep results that say nothing about the set', async (t) => {
    const onStore = await startRecords(t);
    for (const reason of ['prober_failed', 'prober_missing', 'cancelled'] as const) {
      assert.equal(await onStore.record([...PASSED, { check: 'list', state: 'failed', reason }]), false, reason);
    }
    assert.equal(onStore.last(), undefined);
  });

  it('keeps nothing, and logs why, if the store cannot be written', async (t) => {
    const onStore = await startRecords(t);
    const locked = onStore.opened.vault.lock();
    assert.equal(await onStore.record(PASSED), false);
    await locked;
    assert.deepEqual(onStore.lines, [], 'a locked store is no trouble');
    await onStore.opened.slots.unlockUnattended();
    assert.equal(await onStore.record(PASSED), false, 'it may be another store since');
    const damaged = new RecordsOnStore(onStore.opened);
    damaged.opened.vault.unlocked().head = undefined;
    assert.equal(await damaged.record(PASSED), false);
    assert.match(
      damaged.lines.join(),
      /^cio-credentiald: warning: the result of a validation was not kept reason=Damaged\n$/,
    );
  });

  it('logs storage failures periodically, and other failures each time', async (t) => {
    const onStore = await startRecords(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const begin = t.mock.method(onStore.opened.store, 'begin', () => {
      throw new StoreError('full', 'the disk is full');
    });
    for (let count = 0; count < 10; count += 1) assert.equal(await onStore.record(PASSED), false);
    const line = 'cio-credentiald: warning: the result of a validation was not kept reason=';
    assert.deepEqual(onStore.lines.splice(0), [`${line}StorageFull\n`]);
    begin.mock.restore();
    onStore.opened.vault.unlocked().head = undefined;
    for (let count = 0; count < 3; count += 1) assert.equal(await onStore.record(PASSED), false);
    assert.deepEqual(
      onStore.lines.splice(0),
      Array.from({ length: 3 }, () => `${line}Damaged\n`),
    );
    t.mock.timers.tick(REPEAT_INTERVAL_MS);
    assert.deepEqual(onStore.lines, [`${line}StorageFull times=9\n`]);
  });

  it('forgets the results of a store that was locked or replaced', async (t) => {
    const onStore = await startRecords(t);
    await onStore.record(PASSED);
    onStore.now += 1000;
    await onStore.record(PASSED);
    await onStore.opened.vault.lock();
    assert.equal(onStore.health.remembered, 0);
    await onStore.opened.slots.unlockUnattended();
    assert.equal(onStore.last()?.checked, NOW);
  });

  it('does not keep a result if a copy replaced the store while it waited', async (t) => {
    const onStore = await startRecords(t);
    const { vault, sodium } = onStore.opened;
    const rootKey = sodium.copyKey(vault.unlocked().rootKey);
    let keeping: Promise<boolean> = Promise.resolve(true);
    await vault.replace(rootKey, async (store) => {
      keeping = onStore.record(FAILED);
      return prepareReplacement(store, store, vault.unlocked());
    });
    assert.equal(await keeping, false);
    assert.equal(onStore.last(), undefined);
  });

  it('counts the currently failing sets', async (t) => {
    const onStore = await startRecords(t);
    assert.equal(await onStore.health.countFailing(), 0);
    await onStore.record(FAILED);
    assert.equal(await onStore.health.countFailing(), 1);
    await onStore.opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMK');
    assert.equal(await onStore.health.countFailing(), 0);
    const many = Array.from({ length: 300 }, (_, index) => `minio_${index}`);
    for (const set of many) await onStore.opened.save(`cio_${set}_access_key`, 'key');
    await onStore.opened.vault.write((writer) => {
      for (const [index, set] of many.entries()) {
        writer.putHealth({ space: 'system', set, generation: index + 3, state: 'failed', checked: NOW });
      }
    });
    assert.equal(await onStore.health.countFailing(), many.length);
  });

  it('counts once for all callers until the next commit, and again after a lock', async (t) => {
    const onStore = await startRecords(t);
    await onStore.record(FAILED);
    const { vault } = onStore.opened;
    let pages = 0;
    const read = vault.read.bind(vault);
    t.mock.method(vault, 'read', (work: Parameters<typeof read>[0]) => {
      pages += 1;
      return read(work);
    });
    assert.deepEqual(await Promise.all([onStore.health.countFailing(), onStore.health.countFailing()]), [1, 1]);
    assert.equal(await onStore.health.countFailing(), 1);
    assert.equal(pages, 1);
    await onStore.opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMK');
    assert.equal(await onStore.health.countFailing(), 0);
    assert.equal(pages, 2);
    await vault.lock();
    await assert.rejects(onStore.health.countFailing(), (error) => isCredentialError(error, 'Locked'));
    await onStore.opened.slots.unlockUnattended();
    assert.equal(await onStore.health.countFailing(), 0);
    assert.equal(pages, 3);
  });
});
