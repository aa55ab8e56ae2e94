import { randomBytes, timingSafeEqual } from 'node:crypto';

import { delayed } from './deadline.ts';
import { leavesUnknown, ProbeFailure } from './failure.ts';
import { CLEAN_UP_MS, PROBE_BYTES, PUT_GRACE_MS, REQUEST_MS } from './limits.ts';
import type { ObjectStore } from './providers/object-store.ts';

/** The object that is written to see whether one can, with no name or content that anybody else would use. */
export class ProbeObject {
  readonly #name: string = `.cio-credential-probe-${randomBytes(8).toString('hex')}`;
  readonly #bytes: Uint8Array = randomBytes(PROBE_BYTES);
  readonly #store: ObjectStore;
  #state: 'absent' | 'uncertain' | 'stored' | 'left' = 'absent';
  #version: string | undefined;
  #arrival: Promise<void> | undefined;
  /** Whether it was asked to be deleted once, and nobody knows what came of it. */
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
    const isKnown = this.#state === 'stored';
    let marker: string | undefined;
    try {
      ({ version: marker } = await this.#store.delete(this.#name, undefined, signal));
    } catch (error) {
      if (signal.aborted || !(error instanceof ProbeFailure) || leavesUnknown(error.reason)) {
        this.#mayBeHidden = true;
        throw error;
      }
      const isGone = this.#version !== undefined && (await this.#purge([this.#version], signal));
      this.#state = isGone ? 'absent' : 'left';
      throw error;
    }
    // Without its marker, a version that nobody knows by its id would be seen again.
    const isGone = isKnown ? await this.#purge([this.#version, marker], signal) : marker === undefined;
    // A second marker says that there may be a first one, which nobody knows by its id.
    const isHidden = this.#mayBeHidden && marker !== undefined;
    this.#state = isGone && !isHidden ? 'absent' : 'left';
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
      ({ version: this.#version, refused } = await this.#store.put(this.#name, this.#bytes, signal));
      this.#state = 'stored';
    } catch (error) {
      if (error instanceof ProbeFailure && !leavesUnknown(error.reason)) this.#state = 'absent';
      throw error;
    }
    if (refused !== undefined) throw refused;
  }

  async #purge(versions: readonly (string | undefined)[], signal: AbortSignal): Promise<boolean> {
    try {
      for (const version of versions) {
        if (version !== undefined) await this.#store.delete(this.#name, version, signal);
      }
      return true;
    } catch (error) {
      if (signal.aborted || !(error instanceof ProbeFailure)) throw error;
      return false;
    }
  }
}
