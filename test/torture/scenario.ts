import type { Scope } from '../support/scope.ts';
import type { Random } from './random.ts';

/** The means that a scenario works with. */
export interface Torture {
  /** Ends with the scenario, and cleans up what it started. */
  readonly scope: Scope;
  readonly random: Random;
  /** Returns the first number in the long form, the second in the short one. */
  readonly choose: (long: number, short: number) => number;
  /** Reports the progress. */
  readonly progress: (done: number, all: number) => void;
}

/** The result of one tested promise. */
export interface Outcome {
  /** The promise, in a few words. */
  readonly what: string;
  /** How many times it was tested, and the unit of that number. */
  readonly count: number;
  readonly unit: string;
  /** A description of the result, for the table. */
  readonly detail: string;
  /** How it was broken, one sentence each; empty if it was kept. */
  readonly broken: readonly string[];
  /** The missing requirement, if it was not tested. */
  readonly notRun?: string;
  /** What part of it was not tested, or with less than intended, and why; undefined if all of it was tested. */
  readonly partly?: string | undefined;
}

/** Joins the reasons for {@link Outcome.partly}, if any. */
export function partly(...reasons: readonly (string | undefined)[]): string | undefined {
  return reasons.filter((reason) => reason !== undefined).join('; ') || undefined;
}

/** Returns the outcome of a promise that cannot be tested on this machine. */
export function leftOut(what: string, reason: string): Outcome {
  return { what, count: 0, unit: '', detail: '', broken: [], notRun: reason };
}

/** One kind of harm. */
export interface Scenario {
  /** The name for `--only`. */
  readonly id: string;
  readonly describe: string;
  /** Why it cannot run on this machine; undefined if it can. */
  unavailable?(): string | undefined;
  /** Yields each outcome as soon as it is known, so that a broken promise is reported even if a later part fails. */
  run(torture: Torture): AsyncIterable<Outcome>;
}

export function isBroken({ broken }: Outcome): boolean {
  return broken.length > 0;
}

/** Yields the outcomes of some work; if the work fails, the broken ones until then, and throws its error. */
export async function* outcomesOf(
  work: () => Promise<void>,
  outcomes: () => readonly Outcome[],
): AsyncGenerator<Outcome> {
  try {
    await work();
  } catch (error) {
    yield* outcomes().filter(isBroken);
    throw error;
  }
  yield* outcomes();
}

/** The number of breaches that an outcome keeps; the first ones tell enough. */
const BREACHES_KEPT = 10;

/** Collects breaches: the first ones as sentences, the rest as a number. */
export class Breaches {
  readonly #kept: string[] = [];
  #count = 0;

  add(breach: string): void {
    this.#count += 1;
    if (this.#kept.length < BREACHES_KEPT) this.#kept.push(breach);
  }

  get sentences(): readonly string[] {
    const more = this.#count - this.#kept.length;
    return more === 0 ? this.#kept : [...this.#kept, `and ${more} more`];
  }
}
