import { randomBytes, timingSafeEqual } from 'node:crypto';

import { delayedAbort } from './deadline.ts';
import { isUnknownOutcome, ProbeFailure } from './failure.ts';
import { CLEAN_UP_MS, PROBE_BYTES, PUT_GRACE_MS, REQUEST_MS } from './limits.ts';
import type { ObjectStore, Stored } from './providers/object-store.ts';

/**
 * The object that is written to test the right to write. Its name and content are random, so they collide with nothing.
 */
export class ProbeObject {
  readonly #name: string = `.cio-credential-probe-${randomBytes(8).toString('hex')}`;
  readonly #bytes: Uint8Array = randomBytes(PROBE_BYTES);
  readonly #store: ObjectStore;
  #state: 'absent' | 'uncertain' | 'stored' | 'leftover' = 'absent';
  /** Ids of the versions and delete markers of the object that may still exist. */
  readonly #versions = new Set<string>();
  #pendingPut: Promise<void> | undefined;
  /** Whether the store keeps versions and may have one more of the object, whose id is unknown. */
  #mayHaveUnknownVersion = false;
  /** Whether there may be a delete marker whose id is unknown, because the outcome of a deletion is unknown. */
  #mayHaveUnknownMarker = false;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** The full name, with the prefix of the repository. */
  get name(): string {
    return this.#store.prefix + this.#name;
  }

  /** Whether the object, an older version or a delete marker of it may remain in the store for good. */
  get isLeftover(): boolean {
    return this.#state === 'leftover';
  }

  /**
   * Writes the object. After a cancel the request gets a moment to complete: an object that arrived after its deletion
   * would remain.
   */
  put(signal: AbortSignal): Promise<void> {
    this.#pendingPut = this.#put(delayedAbort(signal, PUT_GRACE_MS));
    return this.#pendingPut;
  }

  async isReadBack(signal: AbortSignal): Promise<boolean> {
    const bytes = await this.#store.get(this.#name, PROBE_BYTES, signal);
    return bytes?.length === PROBE_BYTES && timingSafeEqual(bytes, this.#bytes);
  }

  /**
   * Deletes the object as restic does, and then, in a store that keeps versions, the versions and markers of it, if
   * that is permitted: the five rights that a backup needs do not include it.
   */
  async delete(signal: AbortSignal): Promise<void> {
    const isKnown = this.#state === 'stored' && !this.#mayHaveUnknownVersion;
    let hidden: Stored;
    try {
      hidden = await this.#store.delete(this.#name, undefined, signal);
    } catch (error) {
      if (signal.aborted || mayHaveSucceeded(error)) {
        this.#mayHaveUnknownMarker = true;
        throw error;
      }
      const isGone = this.#versions.size > 0 && (await this.#purge(signal));
      this.#state = isGone && !this.#mayHaveUnknownVersion && !this.#mayHaveUnknownMarker ? 'absent' : 'leftover';
      throw error;
    }
    const { version: marker, isRepeated = false } = hidden;
    this.#mayHaveUnknownMarker ||= isRepeated;
    // The marker is deleted only if all versions are known: without it, an unknown version would become visible again.
    if (isKnown && marker !== undefined) this.#versions.add(marker);
    const isGone = await this.#purge(signal);
    // A marker that this deletion created was kept if there may be an unknown version, and an earlier deletion whose
    // outcome is unknown may have created another.
    const isMore = marker === undefined ? this.#mayHaveUnknownVersion : this.#mayHaveUnknownMarker || !isKnown;
    this.#state = isGone && !isMore ? 'absent' : 'leftover';
  }

  /**
   * Deletes the object if it may exist.
   *
   * @param signal after it is aborted, the deletion gets only a moment
   * @returns {@link isLeftover}
   */
  async cleanUp(signal: AbortSignal): Promise<boolean> {
    await this.#pendingPut?.catch(() => undefined);
    if (this.#state !== 'stored' && this.#state !== 'uncertain') return this.isLeftover;
    try {
      await this.delete(AbortSignal.any([AbortSignal.timeout(REQUEST_MS), delayedAbort(signal, CLEAN_UP_MS)]));
    } catch {
      // After any error the object may still exist.
      this.#state = 'leftover';
    }
    return this.isLeftover;
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
        this.#mayHaveUnknownVersion = stored.isRepeated ?? false;
      }
    } catch (error) {
      if (!mayHaveSucceeded(error)) this.#state = 'absent';
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

/** Whether the server may have carried out a request that failed. */
function mayHaveSucceeded(error: unknown): boolean {
  return !(error instanceof ProbeFailure) || error.followsUnknownOutcome || isUnknownOutcome(error.reason);
}
