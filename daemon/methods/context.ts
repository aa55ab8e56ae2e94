import type { Caller } from '../access/caller.ts';
import type { Gone } from '../gone.ts';
import type { Prober } from '../probe/prober.ts';
import type { SlotKeeper } from '../vault/slot-keeper.ts';
import type { Sodium } from '../vault/sodium.ts';
import type { Vault } from '../vault/vault.ts';
import type { Methods } from '../../src/protocol/interface.generated.ts';

/** What the methods work with; made once, by the app. */
export interface Context {
  readonly vault: Vault;
  readonly slots: SlotKeeper;
  readonly prober: Prober;
  readonly sodium: Sodium;
  readonly protection: Protection;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly started: number;
  readonly version: string;
  readonly stateDirectory: string;
  /** How many starts of units wait for a credential that is not there yet. */
  readonly countWaiting: () => number;
}

/** What keeps the process's memory from others. */
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
) => Methods[Name]['out'] | Promise<Methods[Name]['out']>;

/** A method that answers in parts, of which the one that it returns is the last. */
export type StreamingMethod<Name extends MethodName> = (
  context: Context,
  caller: Caller,
  parameters: Methods[Name]['in'],
  gone: Gone,
) => AsyncGenerator<Methods[Name]['out'], Methods[Name]['out'], undefined>;
