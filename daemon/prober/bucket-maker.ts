import type { Finding } from '../../src/validation.ts';
import { delayed } from './deadline.ts';
import { findingOf, leavesUnknown, ProbeFailure } from './failure.ts';
import { CLEAN_UP_MS, PUT_GRACE_MS, REQUEST_MS } from './limits.ts';
import type { BucketStore } from './providers/object-store.ts';
import type { Steps } from './steps.ts';

type Keeper = Pick<BucketStore, 'bucket' | 'makeBucket' | 'removeBucket'>;

/** Makes a bucket that a set names and that is not there; it stays only where the set turns out to work with it. */
export class BucketMaker {
  readonly #steps: Steps;
  #made: Keeper | undefined;
  #arrival: Promise<boolean> | undefined;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  /** The finding of the check `bucket`; whether the bucket is there now. */
  async *make(keeper: Keeper): AsyncGenerator<Finding, boolean> {
    const { signal } = this.#steps;
    const subject = keeper.bucket;
    // A cancel leaves it a moment to arrive: what came after its own removal would stay.
    const making = (): Promise<boolean> => (this.#arrival = this.#make(keeper, delayed(signal, PUT_GRACE_MS)));
    const made = yield* this.#steps.run('bucket', making);
    if (made === undefined) return false;
    const { value: isNew, ms } = made;
    yield isNew
      ? { ...findingOf('bucket', 'passed', 'bucket_made', { subject }), ms }
      : { check: 'bucket', state: 'passed', ms };
    return true;
  }

  /** The same findings; where one of them failed, or they end before their time, the bucket that was made goes again. */
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

  /** The name of a bucket that stays behind. */
  async #remove(): Promise<string | undefined> {
    await this.#arrival?.catch(() => undefined);
    const keeper = this.#made;
    if (keeper === undefined) return undefined;
    this.#made = undefined;
    try {
      await keeper.removeBucket(AbortSignal.timeout(this.#steps.cancel.aborted ? CLEAN_UP_MS : REQUEST_MS));
    } catch (error) {
      const isGone = error instanceof ProbeFailure && error.reason === 'no_such_bucket';
      // Whatever else it was: nothing says that the bucket is gone.
      if (!isGone) return keeper.bucket;
    }
    return undefined;
  }
}
