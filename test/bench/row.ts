import type { Scope } from '../support/scope.ts';
import type { Load } from './load.ts';
import type { Measurement } from './measurement.ts';
import type { Options } from './options.ts';
import type { PreparedStores } from './prepared-stores.ts';

/** What a row measures with. */
export interface Bench {
  /** Ends with the row: what was started goes away. */
  readonly scope: Scope;
  readonly options: Options;
  readonly load: Load;
  readonly stores: PreparedStores;
  /** One of two numbers: for the long form, or for the quick one. */
  readonly choose: (long: number, quick: number) => number;
  /** Says that something cannot be measured on this machine, and why: the report has that too. */
  readonly leaveOut: (what: string, reason: string) => void;
}

/** This machine does not have what all of a row cannot do without; the message says what. */
export class Unavailable extends Error {}

/** A budget, or several that are measured together. */
export interface Row {
  /** For `--only`. */
  readonly id: string;
  measure(bench: Bench): Promise<readonly Measurement[]>;
}
