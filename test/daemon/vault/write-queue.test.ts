import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { VaultTransaction } from '../../../daemon/vault/transaction.ts';
import { LAST_FLUSH_MS, WriteQueue } from '../../../daemon/vault/write-queue.ts';
import type { CredentialError } from '../../../src/errors.ts';
import { TestVault } from './open-vault.ts';

/** Makes a queue that records how many of its jobs went into each commit. */
async function startQueue(t: TestContext): Promise<{ queue: WriteQueue; commits: number[]; job: () => Promise<void> }> {
  const made = await TestVault.create(t);
  const { sealing, principals } = made.vault.unlocked();
  const commits: number[] = [];
  let jobs = 0;
  const queue = new WriteQueue(() => ({
    transaction: new VaultTransaction(made.store, sealing, principals, 0),
    commit: () => {
      commits.push(jobs);
      jobs = 0;
    },
  }));
  const job = (): Promise<void> =>
    queue.add((writer) => {
      writer.generation('system');
      jobs += 1;
    });
  return { queue, commits, job };
}

describe('WriteQueue', () => {
  it('spreads long work over several commits, but does all of it in the last flush', async (t) => {
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const { queue, commits, job } = await startQueue(t);
    const slow = (): Promise<void> =>
      queue.add(() => {
        now += 20;
      });
    await Promise.all(Array.from({ length: 7 }, () => Promise.all([job(), slow()])));
    assert.deepEqual(commits, [3, 3, 1], 'until there were more than 50 ms');
    const rest = Promise.all(Array.from({ length: 7 }, () => Promise.all([job(), slow()])));
    queue.flush(true);
    assert.deepEqual(commits.slice(3), [7]);
    await rest;
  });

  it("lets users take turns, and keeps the order of each user's jobs", async (t) => {
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const { queue } = await startQueue(t);
    const done: string[] = [];
    const slow = (what: string, uid?: number): Promise<void> =>
      queue.add(() => {
        now += 20;
        done.push(what);
      }, uid);
    const crowd = ['a1', 'a2', 'a3', 'a4', 'a5'].map((what) => slow(what, 1));
    const others = [slow('b1', 2), slow('own 1'), slow('b2', 2), slow('own 2')];
    await others[0];
    assert.deepEqual(done, ['a1', 'b1', 'own 1'], 'what is done in 50 ms');
    const late = slow('c1', 3);
    await Promise.all([...crowd, ...others, late]);
    assert.deepEqual(done.slice(3), ['a2', 'b2', 'own 2', 'c1', 'a3', 'a4', 'a5']);
  });

  it('refuses jobs in the last flush that would take too long', async (t) => {
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const { queue, commits, job } = await startQueue(t);
    const waiting = Array.from({ length: 10 }, () =>
      Promise.all([job(), queue.add(() => void (now += LAST_FLUSH_MS / 4))]),
    );
    queue.flush(true);
    assert.deepEqual(commits, [5]);
    const ends = await Promise.allSettled(waiting);
    assert.deepEqual(
      ends.map((end) => (end.status === 'rejected' ? (end.reason as CredentialError).code : 'done')),
      [...Array.from({ length: 5 }, () => 'done'), ...Array.from({ length: 5 }, () => 'Busy')],
    );
    await job();
    assert.deepEqual(commits, [5, 1]);
  });

  it('commits only what is flushed while it is held, and the rest when it is released', async (t) => {
    const { queue, commits, job } = await startQueue(t);
    const before = job();
    queue.hold();
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    assert.deepEqual(commits, []);
    queue.flush(true);
    await before;
    const after = [job(), job()];
    await nextTurn();
    assert.deepEqual(commits, [1]);
    queue.release();
    await Promise.all(after);
    assert.deepEqual(commits, [1, 2]);
  });
});
