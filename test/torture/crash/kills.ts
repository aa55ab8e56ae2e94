import { Breaches } from '../scenario.ts';
import type { Outcome } from '../scenario.ts';
import type { FileCall, Moment } from './daemon-run.ts';

/** The largest number of kills per acknowledged call; with more, nothing would have been tested. */
const KILLS_PER_CALL_MAX = 4;

/** Kills of one kind, and their outcome. */
export class Kills {
  readonly breaches: Breaches = new Breaches();
  count = 0;
  acknowledgements = 0;
  beforeReady = 0;
  /**
   * How many daemons had a moment of this call chosen for them, and how many died at it; one that never reaches it is
   * killed at another.
   */
  readonly #moments: Map<FileCall, { readonly chosen: number; readonly met: number }> = new Map();

  /** Records whether a daemon died at the moment chosen for it. */
  noteMoment({ call }: Moment, isMet: boolean): void {
    const { chosen, met } = this.#moments.get(call) ?? { chosen: 0, met: 0 };
    this.#moments.set(call, { chosen: chosen + 1, met: met + (isMet ? 1 : 0) });
  }

  outcome(what: string): Outcome {
    const { count, acknowledgements, beforeReady } = this;
    if (acknowledgements < count / KILLS_PER_CALL_MAX)
      this.breaches.add(`only ${acknowledgements} calls were acknowledged`);
    for (const [call, { chosen, met }] of this.#moments) {
      if (met === 0) this.breaches.add(`none of ${chosen} daemons was killed before a ${call}, as was chosen for it`);
    }
    const met = [...this.#moments].map(([call, moments]) => `${call} ${moments.met} of ${moments.chosen}`);
    return {
      what,
      count,
      unit: 'kills',
      detail:
        `${acknowledgements} acknowledged calls; ${beforeReady} kills before the daemon was ready` +
        (met.length === 0 ? '' : `; at the moment that was chosen: ${met.join(', ')}`),
      broken: this.breaches.sentences,
    };
  }
}
