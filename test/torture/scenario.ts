import type { Scope } from '../support/scope.ts';
import type { Random } from './random.ts';

/** What a scenario works with. */
export interface Torture {
  /** Ends with the scenario: what was started goes away. */
  readonly scope: Scope;
  readonly random: Random;
  /** One of two numbers: for the long form, or for the short one. */
  readonly choose: (long: number, short: number) => number;
  /** Tells whoever waits how far it is. */
  readonly progress: (done: number, all: number) => void;
}

/** What came of one promise that was put to the test. */
export interface Outcome {
  /** The promise, in a few words. */
  readonly what: string;
  /** How often it was put to the test, and what one time is. */
  readonly count: number;
  readonly unit: string;
  /** What was seen, for the table. */
  readonly detail: string;
  /** How it was broken, each a sentence; empty where it was kept. */
  readonly broken: readonly string[];
  /** What it lacks here; then nothing was tried. */
  readonly notRun?: string;
  /** What of it was not tried here, or less than is meant to be, and why; undefined where all of it was. */
  readonly partly?: string | undefined;
}

/** For {@link Outcome.partly}: the reasons that there are. */
export function partly(...reasons: readonly (string | undefined)[]): string | undefined {
  return reasons.filter((reason) => reason !== undefined).join('; ') || undefined;
}

/** A promise that cannot be put to the test on this machine, and why. */
export function leftOut(what: string, reason: string): Outcome {
  return { what, count: 0, unit: '', detail: '', broken: [], notRun: reason };
}

/** One kind of harm. */
export interface Scenario {
  /** For `--only`. */
  readonly id: string;
  readonly describe: string;
  /** Why it cannot run on this machine; undefined where it can. */
  unavailable?(): string | undefined;
  /** Gives each outcome as soon as it is known: what was broken is told, though what comes after it fails. */
  run(torture: Torture): AsyncIterable<Outcome>;
}

export function isBroken({ broken }: Outcome): boolean {
  return broken.length > 0;
}

/** Gives what came of some work; of work that fails, how promises were broken until then, and the failure. */
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

/** Most breaches that an outcome keeps: the first ones tell enough. */
const BREACHES_KEPT = 10;

/** Collects breaches, the first few in words and the rest as a number. */
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
