import type { Finding } from '../../src/validation.ts';
import { delayed } from './deadline.ts';
import { findingOf, leavesUnknown, ProbeFailure } from './failure.ts';
import { CLEAN_UP_MS, PUT_GRACE_MS, REQUEST_MS } from './limits.ts';
import type { BucketStore } from './providers/object-store.ts';
import type { Steps } from './steps.ts';

type Keeper = Pick<BucketStore, 'bucket' | 'makeBucket' | 'removeBucket'>;

/**
 * Creates a bucket that a set names but that does not exist. The bucket is kept only if the set proves to work with it.
 */
export class BucketMaker {
  readonly #steps: Steps;
  #made: Keeper | undefined;
  #arrival: Promise<boolean> | undefined;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  /** Creates the bucket, yields the finding of the check `bucket`, and returns whether the bucket exists now. */
  async *make(keeper: Keeper): AsyncGenerator<Finding, boolean> {
    const { signal } = this.#steps;
    const subject = keeper.bucket;
    // After a cancel the request gets a moment to complete: a bucket that was created after its removal would remain.
    const making = (): Promise<boolean> => (this.#arrival = this.#make(keeper, delayed(signal, PUT_GRACE_MS)));
    const made = yield* this.#steps.run('bucket', making);
    if (made === undefined) return false;
    const { value: isNew, ms } = made;
    yield isNew
      ? { ...findingOf('bucket', 'passed', 'bucket_made', { subject }), ms }
      : { check: 'bucket', state: 'passed', ms };
    return true;
  }

  /** Passes findings on. If one of them is a failure, or the caller stops early, removes a bucket that was created. */
  async *keepIfGood(findings: AsyncGenerator<Finding, void>): AsyncGenerator<Finding, void> {
    let isGood = true;
    try {
      for await (const finding of findings) {
        isGood &&= finding.state !== 'failed';
        yield finding;
      }
      if (isGood) this.#made = undefined;
      else yield* this.#takeBack();
    } catch (error) {
      yield* this.#takeBack();
      throw error;
    } finally {
      await this.#remove();
    }
  }

  async #make(keeper: Keeper, signal: AbortSignal): Promise<boolean> {
    this.#made = keeper;
    try {
      const isNew = await keeper.makeBucket(signal);
      if (!isNew) this.#made = undefined;
      return isNew;
    } catch (error) {
      if (error instanceof ProbeFailure && !leavesUnknown(error.reason)) this.#made = undefined;
      throw error;
    }
  }

  async *#takeBack(): AsyncGenerator<Finding, void> {
    const subject = await this.#remove();
    if (subject !== undefined) yield findingOf('bucket', 'warning', 'leftover_bucket', { subject });
  }

  /** Removes the bucket if one was created. Returns its name if it remains. */
  async #remove(): Promise<string | undefined> {
    await this.#arrival?.catch(() => undefined);
    const keeper = this.#made;
    if (keeper === undefined) return undefined;
    this.#made = undefined;
    try {
      await keeper.removeBucket(AbortSignal.timeout(this.#steps.cancel.aborted ? CLEAN_UP_MS : REQUEST_MS));
    } catch (error) {
      const isGone = error instanceof ProbeFailure && error.reason === 'no_such_bucket';
      // After any other error the bucket may still exist.
      if (!isGone) return keeper.bucket;
    }
    return undefined;
  }
}
