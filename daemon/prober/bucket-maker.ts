import type { Finding } from '../../src/validation.ts';
import { delayedAbort } from './deadline.ts';
import { findingOf, isUnknownOutcome, ProbeFailure } from './failure.ts';
import { CLEAN_UP_MS, PUT_GRACE_MS, REQUEST_MS } from './limits.ts';
import type { BucketStore } from './providers/object-store.ts';
import type { Steps } from './steps.ts';

type Store = Pick<BucketStore, 'bucket' | 'makeBucket' | 'removeBucket'>;

/**
 * Creates a bucket that a set names but that does not exist. The bucket is kept only if the set proves to work with it.
 */
export class BucketMaker {
  readonly #steps: Steps;
  #made: Store | undefined;
  #pending: Promise<boolean> | undefined;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  /** Creates the bucket, yields the finding of the check `bucket`, and returns whether the bucket exists now. */
  async *make(store: Store): AsyncGenerator<Finding, boolean> {
    const { signal } = this.#steps;
    const subject = store.bucket;
    // After a cancel the request gets a moment to complete: a bucket that was created after its removal would remain.
    const making = (): Promise<boolean> => (this.#pending = this.#make(store, delayedAbort(signal, PUT_GRACE_MS)));
    const made = yield* this.#steps.run('bucket', making);
    if (made === undefined) return false;
    const { value: isNew, ms } = made;
    yield isNew
      ? { ...findingOf('bucket', 'passed', 'bucket_made', { subject }), ms }
      : { check: 'bucket', state: 'passed', ms };
    return true;
  }

  /** Passes findings on. If one of them is a failure, or the caller stops early, removes a bucket that was created. */
  async *removeUnlessPassed(findings: AsyncGenerator<Finding, void>): AsyncGenerator<Finding, void> {
    let hasPassed = true;
    try {
      for await (const finding of findings) {
        hasPassed &&= finding.state !== 'failed';
        yield finding;
      }
      if (hasPassed) this.#made = undefined;
      else yield* this.#removeAndReport();
    } catch (error) {
      yield* this.#removeAndReport();
      throw error;
    } finally {
      await this.#remove();
    }
  }

  async #make(store: Store, signal: AbortSignal): Promise<boolean> {
    this.#made = store;
    try {
      const isNew = await store.makeBucket(signal);
      if (!isNew) this.#made = undefined;
      return isNew;
    } catch (error) {
      if (error instanceof ProbeFailure && !isUnknownOutcome(error.reason)) this.#made = undefined;
      throw error;
    }
  }

  async *#removeAndReport(): AsyncGenerator<Finding, void> {
    const subject = await this.#remove();
    if (subject !== undefined) yield findingOf('bucket', 'warning', 'leftover_bucket', { subject });
  }

  /** Removes the bucket if one was created. Returns its name if it remains. */
  async #remove(): Promise<string | undefined> {
    await this.#pending?.catch(() => undefined);
    const store = this.#made;
    if (store === undefined) return undefined;
    this.#made = undefined;
    try {
      await store.removeBucket(AbortSignal.timeout(this.#steps.cancel.aborted ? CLEAN_UP_MS : REQUEST_MS));
    } catch (error) {
      const isGone = error instanceof ProbeFailure && error.reason === 'no_such_bucket';
      // After any other error the bucket may still exist.
      if (!isGone) return store.bucket;
    }
    return undefined;
  }
}
