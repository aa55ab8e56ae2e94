import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HealthBook, WRITE_PAUSE_MS } from '../../../daemon/health/health-book.ts';
import { createLog } from '../../../daemon/log.ts';
import { SAID_AGAIN_MS } from '../../../daemon/seldom.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import type { HealthRecord } from '../../../daemon/vault/records.ts';
import { prepareReplacement } from '../../../daemon/vault/replace.ts';
import { isCredentialError } from '../../../src/errors.ts';
import type { Finding } from '../../../src/validation.ts';
import type { Unlocked } from '../../../daemon/vault/vault.ts';
import { NOW, TestVault } from '../vault/open-vault.ts';

const PASSED: readonly Finding[] = [{ check: 'key', state: 'passed' }];
const FAILED: readonly Finding[] = [
  { check: 'shape', state: 'warning', reason: 'plain_http', field: 'backup_repo' },
  { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' },
  { check: 'bucket', state: 'failed', reason: 'access_denied' },
];

/** A book over a store with one set, and its clock. */
class Kept {
  readonly opened: TestVault;
  readonly lines: string[] = [];
  readonly book: HealthBook;
  now = NOW;
  readonly #of: Unlocked;

  constructor(opened: TestVault) {
    this.opened = opened;
    this.#of = opened.vault.unlocked();
    this.book = new HealthBook(
      opened.vault,
      createLog((line) => void this.lines.push(line), false),
      () => this.now,
    );
  }

  /** How often the store was committed. */
  get commits(): number {
    return this.opened.vault.unlocked().head?.commits ?? 0;
  }

  last(): HealthRecord | undefined {
    return this.opened.vault.read((reader) => this.book.last(reader, 'system', 'aws'));
  }

  async keep(findings: readonly Finding[], generation = 1): Promise<boolean> {
    const of = this.#of;
    return (await this.book.keep({ space: 'system', set: 'aws', generation, findings, of })) !== undefined;
  }
}

async function startKept(t: Parameters<typeof TestVault.create>[0]): Promise<Kept> {
  const opened = await TestVault.create(t);
  await opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ');
  return new Kept(opened);
}

describe('HealthBook', () => {
  it('keeps what failed first, and since when it does not pass', async (t) => {
    const kept = await startKept(t);
    await kept.keep(PASSED);
    kept.now += 1000;
    await kept.keep(FAILED);
    const known = { space: 'system', set: 'aws', generation: 1 };
    assert.deepEqual(kept.last(), { ...known, state: 'failed', checked: NOW + 1000, good: NOW, finding: FAILED[1] });
  });

  it('takes a trial that writes nothing for no proof that writing works again', async (t) => {
    const kept = await startKept(t);
    const denied: Finding = { check: 'write', state: 'failed', reason: 'access_denied', subject: 's3:PutObject' };
    const restoreOnly: readonly Finding[] = [...PASSED, { check: 'write', state: 'skipped', reason: 'restore_only' }];
    await kept.keep([...PASSED, denied]);
    await kept.keep(restoreOnly);
    assert.deepEqual([kept.last()?.state, kept.last()?.finding, kept.last()?.good], ['failed', denied, undefined]);
    await kept.keep([...PASSED, { check: 'write', state: 'passed' }]);
    await kept.keep(restoreOnly);
    assert.equal(kept.last()?.state, 'passed');
    await kept.keep([...PASSED, denied], 1);
    await kept.keep(restoreOnly, 2);
    assert.equal(kept.last()?.state, 'passed', 'of another generation nothing is known but this');
    await kept.keep(FAILED, 2);
    await kept.keep(restoreOnly, 2);
    assert.equal(kept.last()?.state, 'passed', 'what failed was tried again');
  });

  it('writes the same result again only after a pause, and knows it all the time', async (t) => {
    const kept = await startKept(t);
    await kept.keep(PASSED);
    const { commits } = kept;
    for (let minute = 1; minute < 60; minute += 1) {
      kept.now += 60_000;
      await kept.keep(PASSED);
      assert.equal(kept.last()?.checked, kept.now);
    }
    assert.equal(kept.commits, commits);
    kept.now = NOW + WRITE_PAUSE_MS;
    await kept.keep(PASSED);
    assert.equal(kept.commits, commits + 1);
  });

  it('writes another result at once: another state, another reason, another generation', async (t) => {
    const kept = await startKept(t);
    const other: readonly Finding[] = [{ check: 'key', state: 'failed', reason: 'unknown_access_key' }];
    for (const [findings, generation] of [
      [PASSED, 1],
      [FAILED, 1],
      [other, 1],
      [PASSED, 1],
      [PASSED, 2],
    ] as const) {
      const { commits } = kept;
      kept.now += 1000;
      await kept.keep(findings, generation);
      assert.equal(kept.commits, commits + 1);
    }
  });

  it('is there after a restart, but for what was not worth a write', async (t) => {
    const kept = await startKept(t);
    await kept.keep(FAILED);
    const written = kept.last();
    kept.now += 1000;
    await kept.keep(FAILED);
    const again = new Kept(await kept.opened.reopened());
    assert.deepEqual(again.last(), written);
    assert.equal(await again.book.countFailing(), 1);
  });

  it('forgets what it remembers of a set that was removed and made anew', async (t) => {
    const kept = await startKept(t);
    await kept.keep(PASSED);
    kept.now += 1000;
    await kept.keep(PASSED);
    await kept.opened.save('cio_aws_secret_key', 'secret');
    assert.deepEqual([kept.last()?.checked, kept.book.remembered], [kept.now, 1], 'a set that changes is there');
    await kept.opened.remove('cio_aws_secret_key');
    await kept.opened.remove('cio_aws_access_key');
    assert.deepEqual([kept.last(), kept.book.remembered], [undefined, 0]);
    assert.equal(await kept.keep(PASSED), false, 'there is nothing to know anything of');
    await kept.opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ');
    assert.equal(kept.last(), undefined);
  });

  it('does not put what was found of an older generation in the place of what is known of a newer one', async (t) => {
    const kept = await startKept(t);
    await kept.keep(PASSED, 2);
    assert.equal(await kept.keep(FAILED, 1), false);
    assert.equal(kept.last()?.state, 'passed');
  });

  it('keeps nothing of what says nothing of the set', async (t) => {
    const kept = await startKept(t);
    for (const reason of ['prober_failed', 'prober_missing', 'cancelled'] as const) {
      assert.equal(await kept.keep([...PASSED, { check: 'list', state: 'failed', reason }]), false, reason);
    }
    assert.equal(kept.last(), undefined);
  });

  it('keeps nothing, and says why, where the store cannot be written', async (t) => {
    const kept = await startKept(t);
    const locked = kept.opened.vault.lock();
    assert.equal(await kept.keep(PASSED), false);
    await locked;
    assert.deepEqual(kept.lines, [], 'a locked store is no trouble');
    await kept.opened.slots.unlockUnattended();
    assert.equal(await kept.keep(PASSED), false, 'it may be another store since');
    const damaged = new Kept(kept.opened);
    damaged.opened.vault.unlocked().head = undefined;
    assert.equal(await damaged.keep(PASSED), false);
    assert.match(
      damaged.lines.join(),
      /^cio-credentiald: warning: the result of a validation was not kept reason=Damaged\n$/,
    );
  });

  it('says once in a while that the disk takes nothing, and each time what else went wrong', async (t) => {
    const kept = await startKept(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const begin = t.mock.method(kept.opened.store, 'begin', () => {
      throw new StoreError('full', 'the disk is full');
    });
    for (let count = 0; count < 10; count += 1) assert.equal(await kept.keep(PASSED), false);
    const line = 'cio-credentiald: warning: the result of a validation was not kept reason=';
    assert.deepEqual(kept.lines.splice(0), [`${line}StorageFull\n`]);
    begin.mock.restore();
    kept.opened.vault.unlocked().head = undefined;
    for (let count = 0; count < 3; count += 1) assert.equal(await kept.keep(PASSED), false);
    assert.deepEqual(
      kept.lines.splice(0),
      Array.from({ length: 3 }, () => `${line}Damaged\n`),
    );
    t.mock.timers.tick(SAID_AGAIN_MS);
    assert.deepEqual(kept.lines, [`${line}StorageFull times=9\n`]);
  });

  it('forgets what it remembers of a store that was locked or replaced', async (t) => {
    const kept = await startKept(t);
    await kept.keep(PASSED);
    kept.now += 1000;
    await kept.keep(PASSED);
    await kept.opened.vault.lock();
    assert.equal(kept.book.remembered, 0);
    await kept.opened.slots.unlockUnattended();
    assert.equal(kept.last()?.checked, NOW);
  });

  it('keeps nothing of what was replaced by a copy while it waited for its turn', async (t) => {
    const kept = await startKept(t);
    const { vault, sodium } = kept.opened;
    const rootKey = sodium.copyKey(vault.unlocked().rootKey);
    let keeping: Promise<boolean> = Promise.resolve(true);
    await vault.replace(rootKey, async (store) => {
      keeping = kept.keep(FAILED);
      return prepareReplacement(store, store);
    });
    assert.equal(await keeping, false);
    assert.equal(kept.last(), undefined);
  });

  it('counts the sets that fail as they are now', async (t) => {
    const kept = await startKept(t);
    assert.equal(await kept.book.countFailing(), 0);
    await kept.keep(FAILED);
    assert.equal(await kept.book.countFailing(), 1);
    await kept.opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMK');
    assert.equal(await kept.book.countFailing(), 0);
    const many = Array.from({ length: 300 }, (_, index) => `minio_${index}`);
    for (const set of many) await kept.opened.save(`cio_${set}_access_key`, 'key');
    await kept.opened.vault.write((writer) => {
      for (const [index, set] of many.entries()) {
        writer.putHealth({ space: 'system', set, generation: index + 3, state: 'failed', checked: NOW });
      }
    });
    assert.equal(await kept.book.countFailing(), many.length);
  });

  it('counts once for all who ask before the next commit, and anew after a lock', async (t) => {
    const kept = await startKept(t);
    await kept.keep(FAILED);
    const { vault } = kept.opened;
    let pages = 0;
    const read = vault.read.bind(vault);
    t.mock.method(vault, 'read', (work: Parameters<typeof read>[0]) => {
      pages += 1;
      return read(work);
    });
    assert.deepEqual(await Promise.all([kept.book.countFailing(), kept.book.countFailing()]), [1, 1]);
    assert.equal(await kept.book.countFailing(), 1);
    assert.equal(pages, 1);
    await kept.opened.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMK');
    assert.equal(await kept.book.countFailing(), 0);
    assert.equal(pages, 2);
    await vault.lock();
    await assert.rejects(kept.book.countFailing(), (error) => isCredentialError(error, 'Locked'));
    await kept.opened.slots.unlockUnattended();
    assert.equal(await kept.book.countFailing(), 0);
    assert.equal(pages, 3);
  });
});
