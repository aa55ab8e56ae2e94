import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long one piece of a long work may keep others waiting. */
const SLICE_MS = 4;

/** Cuts a long work into slices, between which others have their turn. */
export class TimeSlice {
  #start: number = performance.now();

  /** To be called often; mostly returns at once. */
  async pause(): Promise<void> {
    if (performance.now() - this.#start < SLICE_MS) return;
    await nextTurn();
    this.#start = performance.now();
  }
}
