import { randomBytes, timingSafeEqual } from 'node:crypto';

import type { Reason } from '../../src/validation.ts';
import { delayed } from './deadline.ts';
import { ProbeFailure } from './failure.ts';
import { CLEAN_UP_MS, PROBE_BYTES, PUT_GRACE_MS } from './limits.ts';
import type { ObjectStore } from './providers/object-store.ts';

/** Of a put that ended so nobody knows whether the object is there. */
const UNCERTAIN: ReadonlySet<Reason> = new Set([
  'timed_out',
  'connection_lost',
  'server_error',
  'unexpected_answer',
  'answer_too_large',
]);

/** The object that is written to see whether one can, with no name or content that anybody else would use. */
export class ProbeObject {
  readonly #name: string = `.cio-credential-probe-${randomBytes(8).toString('hex')}`;
  readonly #bytes: Uint8Array = randomBytes(PROBE_BYTES);
  readonly #store: ObjectStore;
  #state: 'absent' | 'uncertain' | 'stored' | 'left' = 'absent';
  #version: string | undefined;
  #arrival: Promise<void> | undefined;

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
      if (signal.aborted || !(error instanceof ProbeFailure)) throw error;
      const isGone = this.#version !== undefined && (await this.#purge([this.#version], signal));
      this.#state = isGone ? 'absent' : 'left';
      throw error;
    }
    // Without its marker, a version that nobody knows by its id would be seen again.
    const isGone = isKnown ? await this.#purge([this.#version, marker], signal) : marker === undefined;
    this.#state = isGone ? 'absent' : 'left';
  }

  /** Takes it away if it may be there, in a moment; says whether it is left. */
  async cleanUp(): Promise<boolean> {
    await this.#arrival?.catch(() => undefined);
    if (this.#state !== 'stored' && this.#state !== 'uncertain') return this.isLeft;
    try {
      await this.delete(AbortSignal.timeout(CLEAN_UP_MS));
    } catch {
      // Whatever it was: nothing says that the object is gone.
      this.#state = 'left';
    }
    return this.isLeft;
  }

  async #put(signal: AbortSignal): Promise<void> {
    this.#state = 'uncertain';
    try {
      const { version } = await this.#store.put(this.#name, this.#bytes, signal);
      this.#version = version;
      this.#state = 'stored';
    } catch (error) {
      if (error instanceof ProbeFailure && !UNCERTAIN.has(error.reason)) this.#state = 'absent';
      throw error;
    }
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
