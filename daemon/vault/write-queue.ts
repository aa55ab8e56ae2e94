import { CredentialError } from '../../src/errors.ts';
import { UserQueue } from '../user-queue.ts';
import { toCredentialError } from './store-failures.ts';
import type { VaultTransaction, VaultWriter } from './transaction.ts';

/** How long the jobs of one commit may keep others waiting. */
const FLUSH_MS = 50;

/**
 * The same where nothing may be left, as before a lock or the end: a crowd of writers can have minutes of work wait, and a daemon
 * that is not heard of for half a minute is ended.
 */
export const LAST_FLUSH_MS = 5000;

interface Job {
  readonly run: (writer: VaultWriter) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What a commit is made of. */
export interface Committing {
  readonly transaction: VaultTransaction;
  /** Makes what was kept durable. */
  commit(): void;
}

/**
 * Writes that wait for their commit: those of one turn of the event loop get one together, at its end. Where they are too
 * many for that, users take turns, so that nobody waits for all that another has begun.
 */
export class WriteQueue {
  readonly #begin: () => Committing | undefined;
  readonly #jobs: UserQueue<Job> = new UserQueue();
  #isScheduled = false;
  #isHeld = false;

  /** @param begin undefined while the store is locked */
  constructor(begin: () => Committing | undefined) {
    this.#begin = begin;
  }

  /** See `Vault.write`. */
  add<T>(work: (writer: VaultWriter) => T, uid?: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.add(uid, { run: work, resolve: resolve as (result: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Nothing is committed until {@link release}, but by {@link flush}. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    if (!this.#jobs.isEmpty) this.#schedule();
  }

  /**
   * Commits what waits. Jobs that take long are spread over several commits, so that others have their turn in between,
   * unless `isLast` says that nothing may be left: what would take too long then is not done, and answered with `Busy`.
   */
  flush(isLast = false): void {
    if (this.#jobs.isEmpty) return;
    const committing = this.#begin();
    if (committing === undefined) {
      this.#refuseAll('Locked');
      return;
    }
    const { transaction } = committing;
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
      if (transaction.hasChanges) committing.commit();
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
