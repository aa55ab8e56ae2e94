import { setImmediate as nextTurn } from 'node:timers/promises';

import { CredentialError } from '../../src/errors.ts';
import { membershipOf } from '../../src/sets.ts';
import type { Finding } from '../../src/validation.ts';
import { wholeSet } from '../access/set-view.ts';
import type { Log } from '../log.ts';
import { rateLimited } from '../rate-limited-log.ts';
import type { VaultChange } from '../vault/change.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { setKey } from '../vault/records.ts';
import type { HealthRecord, Space } from '../vault/records.ts';
import { storeErrorBehind } from '../vault/store-failures.ts';
import type { VaultWriter } from '../vault/transaction.ts';
import type { Unlocked } from '../vault/unlocked.ts';
import type { Vault } from '../vault/vault.ts';

/** The result of a validation of a set, as it was at a generation. */
export interface ValidationOutcome {
  readonly space: Space;
  readonly set: string;
  readonly generation: number;
  readonly findings: readonly Finding[];
  /** The unlocked store when the set was read; a restore may have replaced its contents since. */
  readonly unlocked: Unlocked;
}

/** The health of a set before and after a validation. */
export interface HealthChange {
  readonly before: HealthRecord | undefined;
  readonly after: HealthRecord;
}

/**
 * For how long a result that has not changed is remembered in this process and not written. So sets that are validated
 * every minute write once in this time, and a restart forgets no more than this time.
 */
export const WRITE_PAUSE_MS: number = 60 * 60 * 1000;

/** Most results that are remembered at a time; one more is written. */
const REMEMBERED_MAX = 10_000;

/** Results that are counted in one turn of the event loop: for each, all fields that a set could have are looked up. */
const PAGE = 25;

/** Reasons that concern the prober or the caller, and not the set. */
const NOT_OF_THE_SET: ReadonlySet<string> = new Set([
  'prober_failed',
  'prober_missing',
  'cancelled',
  'not_supported',
  'identity_not_shared',
]);

/** Keeps the last result of each set, and counts the sets that fail now. */
export class HealthRecords {
  readonly #vault: Vault;
  readonly #log: Log;
  /** For failures of the storage, which recur with each validation. */
  readonly #rateLimitedLog: Log;
  readonly #now: () => number;
  /** Results that are newer than those in the store, and otherwise the same. */
  readonly #remembered: Map<string, HealthRecord> = new Map();
  /** How many sets fail, and the head of the store when they were counted. */
  #failing: { readonly headBody: Uint8Array | undefined; readonly count: Promise<number> } | undefined;

  constructor(vault: Vault, log: Log, now: () => number) {
    this.#vault = vault;
    this.#log = log;
    this.#rateLimitedLog = rateLimited(log);
    this.#now = now;
    vault.watch((change) => this.#forgetWhatIsGone(change));
  }

  /** How many results are remembered. */
  get remembered(): number {
    return this.#remembered.size;
  }

  /** Returns the last result of a set, even if it is of an older generation. */
  last(reader: VaultReader, space: Space, set: string): HealthRecord | undefined {
    const stored = reader.health(space, set);
    const remembered = this.#remembered.get(setKey({ space, set }));
    // A remembered result does not count if the stored one was removed meanwhile, or a newer one was written.
    return stored !== undefined && remembered?.generation === stored.generation && remembered.checked > stored.checked
      ? remembered
      : stored;
  }

  /**
   * Records the result of a validation, unless it says nothing about the set, nothing is left of the set, a newer
   * result is known, or the store was locked.
   *
   * @returns undefined if nothing was recorded
   * @throws CredentialError `Damaged`
   */
  async record(outcome: ValidationOutcome): Promise<HealthChange | undefined> {
    const { space, set } = outcome;
    const isSameStore = !this.#vault.isLocked && this.#vault.unlocked() === outcome.unlocked;
    if (!isSameStore || !isOfTheSet(outcome.findings)) return undefined;
    const checked = this.#now();
    const { stored, before, exists } = this.#vault.read((reader) => ({
      stored: reader.health(space, set),
      before: this.last(reader, space, set),
      exists: wholeSet(reader, space, set).size > 0,
    }));
    if (!exists) return undefined;
    const after = healthAfter(outcome, before, checked);
    const key = setKey({ space, set });
    const isYoung = stored !== undefined && checked - stored.checked < WRITE_PAUSE_MS && checked >= stored.checked;
    if (isYoung && isSame(stored, after) && this.#remembered.size < REMEMBERED_MAX) {
      this.#remembered.set(key, after);
      return { before, after };
    }
    if (!(await this.#write(after, outcome.unlocked))) return undefined;
    this.#remembered.delete(key);
    return { before, after };
  }

  /** Forgets the results of sets that were removed, and all of them if the store was locked, repaired or replaced. */
  #forgetWhatIsGone(change: VaultChange | undefined): void {
    if (change === undefined) this.#remembered.clear();
    if (this.#remembered.size === 0) return;
    for (const { space, name } of change?.credentials ?? []) {
      const set = membershipOf(name)?.set;
      if (set === undefined || !this.#remembered.has(setKey({ space, set }))) continue;
      const stored = countDamaged({ damaged: 0 }, () => this.#vault.read((reader) => reader.health(space, set)));
      if (stored === undefined) this.#remembered.delete(setKey({ space, set }));
    }
  }

  /** Writes a result; false if it could not. That is no failure of the validation, which is of use all the same. */
  async #write(after: HealthRecord, unlocked: Unlocked): Promise<boolean> {
    try {
      return await this.#vault.write((writer) => {
        // A copy may have been restored while this waited for its turn.
        if (this.#vault.unlocked() !== unlocked) return false;
        // Checked again: a write in between may have removed the set and its health, or proved a newer state of it.
        const { space, set, generation } = after;
        const exists = wholeSet(writer, space, set).size > 0;
        const isNews = exists && (writer.health(space, set)?.generation ?? 0) <= generation;
        if (isNews) writer.putHealth(after);
        return isNews;
      });
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      const log = storeErrorBehind(error) === undefined ? this.#log : this.#rateLimitedLog;
      if (error.code !== 'Locked') log.warning('the result of a validation was not kept', { reason: error.code });
      return false;
    }
  }

  /** Records that a set passed, in the transaction that stores the credentials with which it passed. */
  recordProved(writer: VaultWriter, outcome: Omit<ValidationOutcome, 'unlocked'>): void {
    writer.putHealth(healthAfter(outcome, writer.health(outcome.space, outcome.set), this.#now()));
  }

  /** Counts the sets that fail as they are now, of all owners; once for all callers until the next commit. */
  async countFailing(): Promise<number> {
    const { headBody } = this.#vault.unlocked();
    if (this.#failing !== undefined && this.#failing.headBody === headBody) return await this.#failing.count;
    const failing = { headBody, count: this.#countAllFailing() };
    this.#failing = failing;
    // The store was locked, or a page cannot be read: the next caller makes it count again.
    failing.count.catch(() => {
      if (this.#failing === failing) this.#failing = undefined;
    });
    return await failing.count;
  }

  /** Goes through all results. It mostly needs only this turn of the event loop. */
  async #countAllFailing(): Promise<number> {
    let { epoch } = this.#vault.unlocked().sealing;
    let count = 0;
    let after: Uint8Array | undefined;
    for (;;) {
      const page = this.#vault.read((reader) => countPage(reader, after));
      count += page.failing;
      after = page.next;
      if (after === undefined) return count;
      // Does not wait for a turn among other long tasks, or the status of a busy daemon would take as long as all of
      // them.
      await nextTurn();
      const current = this.#vault.unlocked().sealing.epoch;
      if (current === epoch) continue;
      // With another data key, the records come in another order.
      epoch = current;
      count = 0;
      after = undefined;
    }
  }
}

function countPage(
  reader: VaultReader,
  from: Uint8Array | undefined,
): { readonly failing: number; readonly next: Uint8Array | undefined } {
  const { records, next } = reader.healths(from, PAGE);
  const failing = records.filter(({ state, space, set, generation }) => {
    if (state !== 'failed') return false;
    const whole = countDamaged({ damaged: 0 }, () => wholeSet(reader, space, set));
    return whole?.generation === generation;
  });
  return { failing: failing.length, next };
}

/** Tells whether findings say something about the set: if the prober died, or the caller went away, they do not. */
function isOfTheSet(findings: readonly Finding[]): boolean {
  return !findings.some(({ reason }) => reason !== undefined && NOT_OF_THE_SET.has(reason));
}

function healthAfter(
  outcome: Omit<ValidationOutcome, 'unlocked'>,
  before: HealthRecord | undefined,
  checked: number,
): HealthRecord {
  const { space, set, generation, findings } = outcome;
  const finding = findings.find(({ state }) => state === 'failed') ?? stillFailing(outcome, before);
  const good = finding === undefined ? checked : before?.good;
  return {
    space,
    set,
    generation,
    state: finding === undefined ? 'passed' : 'failed',
    checked,
    ...(good === undefined ? {} : { good }),
    ...(finding === undefined ? {} : { finding }),
  };
}

/**
 * Returns an earlier failure of the unchanged set whose check was left out this time, by a validation that writes
 * nothing.
 */
function stillFailing(
  { generation, findings }: Pick<ValidationOutcome, 'generation' | 'findings'>,
  before: HealthRecord | undefined,
): Finding | undefined {
  const finding = before?.generation === generation ? before.finding : undefined;
  const isLeftOut = findings.some(({ check, reason }) => check === finding?.check && reason === 'restore_only');
  return isLeftOut ? finding : undefined;
}

/** Tells whether two results are the same, except for the time. */
function isSame(a: HealthRecord, b: HealthRecord): boolean {
  const isSameFinding =
    a.finding?.check === b.finding?.check &&
    a.finding?.reason === b.finding?.reason &&
    a.finding?.field === b.finding?.field &&
    a.finding?.subject === b.finding?.subject;
  return a.generation === b.generation && a.state === b.state && isSameFinding;
}
