import type { Scope } from '../support/scope.ts';
import type { Load } from './load.ts';
import type { Measurement } from './measurement.ts';
import type { Options } from './options.ts';
import type { PreparedStores } from './prepared-stores.ts';

/** The means with which a row measures. */
export interface Bench {
  /** Ends with the row, and cleans up what it started. */
  readonly scope: Scope;
  readonly options: Options;
  readonly load: Load;
  readonly stores: PreparedStores;
  /** Returns the first number in the long form, the second in the quick one. */
  readonly choose: (long: number, quick: number) => number;
  /** Reports that something cannot be measured on this machine, and why. */
  readonly leaveOut: (what: string, reason: string) => void;
}

/** Thrown if this machine lacks what a whole row needs; the message says what. */
export class Unavailable extends Error {}

/** A budget, or several that are measured together. */
export interface Row {
  /** The name for `--only`. */
  readonly id: string;
  measure(bench: Bench): Promise<readonly Measurement[]>;
}
