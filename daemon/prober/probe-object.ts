import { randomBytes, timingSafeEqual } from 'node:crypto';

import { delayed } from './deadline.ts';
import { leavesUnknown, ProbeFailure } from './failure.ts';
import { CLEAN_UP_MS, PROBE_BYTES, PUT_GRACE_MS, REQUEST_MS } from './limits.ts';
import type { ObjectStore, Stored } from './providers/object-store.ts';

/** The object that is written to see whether one can, with no name or content that anybody else would use. */
export class ProbeObject {
  readonly #name: string = `.cio-credential-probe-${randomBytes(8).toString('hex')}`;
  readonly #bytes: Uint8Array = randomBytes(PROBE_BYTES);
  readonly #store: ObjectStore;
  #state: 'absent' | 'uncertain' | 'stored' | 'left' = 'absent';
  /** Of it and of its markers, those that are known by their ids and may still be there. */
  readonly #versions = new Set<string>();
  #arrival: Promise<void> | undefined;
  /** Whether the store keeps versions, and there may be one more of it than is known by its id. */
  #mayBeOlder = false;
  /** Whether there may be a marker that nobody knows by its id: what came of a deletion is not known. */
  #mayBeHidden = false;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** With the prefix of the repository. */
  get name(): string {
    return this.#store.prefix + this.#name;
  }

  /** Whether it, an older version of it, or its marker is still there, for good. */
  get isLeft(): boolean {
    return this.#state === 'left';
  }

  /** A cancel leaves it a moment to arrive: what came after its own deletion would stay. */
  put(signal: AbortSignal): Promise<void> {
    this.#arrival = this.#put(delayed(signal, PUT_GRACE_MS));
    return this.#arrival;
  }

  async isReadBack(signal: AbortSignal): Promise<boolean> {
    const bytes = await this.#store.get(this.#name, PROBE_BYTES, signal);
    return bytes?.length === PROBE_BYTES && timingSafeEqual(bytes, this.#bytes);
  }

  /**
   * Deletes it as restic deletes, and then what a store that keeps versions still has of it, if that is allowed: the five
   * rights of a backup do not say so.
   */
  async delete(signal: AbortSignal): Promise<void> {
    const isKnown = this.#state === 'stored' && !this.#mayBeOlder;
    let hidden: Stored;
    try {
      hidden = await this.#store.delete(this.#name, undefined, signal);
    } catch (error) {
      if (signal.aborted || mayHaveActed(error)) {
        this.#mayBeHidden = true;
        throw error;
      }
      const isGone = this.#versions.size > 0 && (await this.#purge(signal));
      this.#state = isGone && !this.#mayBeOlder && !this.#mayBeHidden ? 'absent' : 'left';
      throw error;
    }
    const { version: marker, isRepeated = false } = hidden;
    this.#mayBeHidden ||= isRepeated;
    // Without its marker, a version that nobody knows by its id would be seen again.
    if (isKnown && marker !== undefined) this.#versions.add(marker);
    const isGone = await this.#purge(signal);
    // A second marker says that there may be a first one.
    const isMore = marker === undefined ? this.#mayBeOlder : this.#mayBeHidden || !isKnown;
    this.#state = isGone && !isMore ? 'absent' : 'left';
  }

  /**
   * Takes it away if it may be there, and says whether it is left.
   *
   * @param signal once it is aborted there is only a moment for it
   */
  async cleanUp(signal: AbortSignal): Promise<boolean> {
    await this.#arrival?.catch(() => undefined);
    if (this.#state !== 'stored' && this.#state !== 'uncertain') return this.isLeft;
    try {
      await this.delete(AbortSignal.any([AbortSignal.timeout(REQUEST_MS), delayed(signal, CLEAN_UP_MS)]));
    } catch {
      // Whatever it was: nothing says that the object is gone.
      this.#state = 'left';
    }
    return this.isLeft;
  }

  async #put(signal: AbortSignal): Promise<void> {
    this.#state = 'uncertain';
    let refused: ProbeFailure | undefined;
    try {
      const stored = await this.#store.put(this.#name, this.#bytes, signal);
      ({ refused } = stored);
      this.#state = 'stored';
      if (stored.version !== undefined) {
        this.#versions.add(stored.version);
        this.#mayBeOlder = stored.isRepeated ?? false;
      }
    } catch (error) {
      if (!mayHaveActed(error)) this.#state = 'absent';
      throw error;
    }
    if (refused !== undefined) throw refused;
  }

  async #purge(signal: AbortSignal): Promise<boolean> {
    try {
      for (const version of this.#versions) {
        await this.#store.delete(this.#name, version, signal);
        this.#versions.delete(version);
      }
      return true;
    } catch (error) {
      if (signal.aborted || !(error instanceof ProbeFailure)) throw error;
      return false;
    }
  }
}

/** Whether what a request should have made may be there although it failed. */
function mayHaveActed(error: unknown): boolean {
  return !(error instanceof ProbeFailure) || error.isAfterUnknown || leavesUnknown(error.reason);
}
