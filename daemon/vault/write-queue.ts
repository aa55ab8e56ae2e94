import { CredentialError } from '../../src/errors.ts';
import { UserQueue } from '../user-queue.ts';
import { toCredentialError } from './store-failures.ts';
import type { VaultTransaction, VaultWriter } from './transaction.ts';

/** How long the jobs of one commit may block the event loop. */
const FLUSH_MS = 50;

/**
 * The same for the last commit before the store is locked or closed. Many writers can have minutes of work queued, and
 * systemd kills a daemon that does not respond for half a minute.
 */
export const LAST_FLUSH_MS = 5000;

interface Job {
  readonly run: (writer: VaultWriter) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A commit in preparation. */
export interface PendingCommit {
  readonly transaction: VaultTransaction;
  /** Makes the kept changes durable. */
  commit(): void;
}

/**
 * The queue of writes. Those of one turn of the event loop are committed together at its end. If that would take too
 * long, users take turns, so that nobody waits for all writes of another user.
 */
export class WriteQueue {
  readonly #begin: () => PendingCommit | undefined;
  readonly #jobs: UserQueue<Job> = new UserQueue();
  #isScheduled = false;
  #isHeld = false;

  /** @param begin starts a commit; returns undefined while the store is locked */
  constructor(begin: () => PendingCommit | undefined) {
    this.#begin = begin;
  }

  /** See `Vault.write`. */
  add<T>(work: (writer: VaultWriter) => T, uid?: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.add(uid, { run: work, resolve: resolve as (result: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Stops commits until {@link release}, except by {@link flush}. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    if (!this.#jobs.isEmpty) this.#schedule();
  }

  /**
   * Commits queued jobs, as many as the time limit allows. The others are left to a later commit, so that other work
   * gets its turn in between. With `isLast`, the limit is higher and nothing is left: the other jobs are refused with
   * `Busy`.
   */
  flush(isLast = false): void {
    if (this.#jobs.isEmpty) return;
    const pending = this.#begin();
    if (pending === undefined) {
      this.#refuseAll('Locked');
      return;
    }
    const { transaction } = pending;
    const answers: { readonly job: Job; readonly result: unknown }[] = [];
    const end = performance.now() + (isLast ? LAST_FLUSH_MS : FLUSH_MS);
    for (let job = this.#jobs.take(); job !== undefined; job = this.#jobs.take()) {
      try {
        answers.push({ job, result: job.run(transaction) });
        transaction.keep();
      } catch (error) {
        transaction.drop();
        job.reject(toCredentialError(error));
      }
      if (performance.now() > end) break;
    }
    if (isLast) this.#refuseAll('Busy');
    else if (!this.#jobs.isEmpty) this.#schedule();
    try {
      if (transaction.hasChanges) pending.commit();
    } catch (error) {
      for (const { job } of answers) job.reject(toCredentialError(error));
      return;
    }
    for (const { job, result } of answers) job.resolve(result);
  }

  #refuseAll(code: 'Locked' | 'Busy'): void {
    for (let job = this.#jobs.take(); job !== undefined; job = this.#jobs.take())
      job.reject(new CredentialError(code, {}));
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isHeld) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isHeld) this.flush();
    });
  }
}
