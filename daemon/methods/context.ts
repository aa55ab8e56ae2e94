import type { Caller } from '../access/caller.ts';
import type { ChangedSets } from '../access/changed-sets.ts';
import type { Subscribe } from '../emitter.ts';
import type { Announcer } from '../health/announcer.ts';
import type { HealthRecords } from '../health/health-records.ts';
import type { Prober } from '../probe/prober.ts';
import type { Copies } from '../vault/copies.ts';
import type { SelfCheck } from '../vault/self-check.ts';
import type { SlotKeeper } from '../vault/slot-keeper.ts';
import type { Sodium } from '../vault/sodium.ts';
import type { WatchHub } from '../access/watch-hub.ts';
import type { Vault } from '../vault/vault.ts';
import type { Methods } from '../../src/protocol/interface.generated.ts';

/** What the methods work with; made once, by the app. */
export interface Context {
  readonly vault: Vault;
  readonly watches: WatchHub;
  readonly changedSets: ChangedSets;
  readonly slots: SlotKeeper;
  readonly copies: Copies;
  readonly selfCheck: Pick<SelfCheck, 'isIntact'>;
  readonly prober: Prober;
  readonly health: HealthRecords;
  readonly announcer: Announcer;
  /** Interval of the scheduled validations of a set; undefined if there are none. */
  readonly validateEveryMs: number | undefined;
  readonly sodium: Sodium;
  readonly protection: Protection;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly started: number;
  readonly version: string;
  readonly stateDirectory: string;
  /** Returns how many units wait for a credential that does not exist yet. */
  readonly countWaiting: () => number;
}

/** How the memory of the process is protected. */
export interface Protection {
  readonly isUndumpable: boolean;
  /** The memory that keys live in is never written to a swap device. */
  readonly areKeysLocked: boolean;
}

export type MethodName = keyof Methods;

/** A method that answers once. The parameters have been checked against the interface. */
export type Method<Name extends MethodName> = (
  context: Context,
  caller: Caller,
  parameters: Methods[Name]['in'],
  onGone: Subscribe,
) => Methods[Name]['out'] | Promise<Methods[Name]['out']>;

/**
 * A method that answers in parts, of which the one that it returns is the last.
 *
 * @param onEnding tells an endless method when to end: the connection takes nothing more from it
 */
export type StreamingMethod<Name extends MethodName> = (
  context: Context,
  caller: Caller,
  parameters: Methods[Name]['in'],
  onGone: Subscribe,
  onEnding: Subscribe,
) => AsyncGenerator<Methods[Name]['out'], Methods[Name]['out'], undefined>;
