import { setImmediate as nextTurn } from 'node:timers/promises';

import { CredentialError } from '../../src/errors.ts';
import { membershipOf } from '../../src/sets.ts';
import type { Finding } from '../../src/validation.ts';
import { wholeSet } from '../access/set-view.ts';
import type { Log } from '../log.ts';
import { seldom } from '../seldom.ts';
import type { VaultChange } from '../vault/change.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { setKey } from '../vault/records.ts';
import type { HealthRecord, Space } from '../vault/records.ts';
import { storeErrorBehind } from '../vault/store-failures.ts';
import type { VaultWriter } from '../vault/transaction.ts';
import type { Unlocked, Vault } from '../vault/vault.ts';

/** What a trial of a set, as it was at a generation, came to. */
export interface Outcome {
  readonly space: Space;
  readonly set: string;
  readonly generation: number;
  readonly findings: readonly Finding[];
  /** What was open when the set was read: another store's contents may stand in its place since. */
  readonly of: Unlocked;
}

/** How a set did, before and after a trial. */
export interface Change {
  readonly before: HealthRecord | undefined;
  readonly after: HealthRecord;
}

/**
 * How long the same result, found again, is remembered by this process alone: sets that are tried every minute write
 * once in this time, and what a restart forgets is no more.
 */
export const WRITE_PAUSE_MS: number = 60 * 60 * 1000;

/** Results that are remembered at a time; one more is written. */
const REMEMBERED_MAX = 10_000;

/** Results that are counted between two turns of the event loop: each asks for all the fields that a set could have. */
const PAGE = 25;

/** Reasons that tell of the prober or of whoever asked, and not of the set. */
const NOT_OF_THE_SET: ReadonlySet<string> = new Set([
  'prober_failed',
  'prober_missing',
  'cancelled',
  'not_supported',
  'identity_not_shared',
]);

/** Keeps how the sets did when they were last tried out, and knows how they do now. */
export class HealthBook {
  readonly #vault: Vault;
  readonly #log: Log;
  /** For failures of the storage: each validation meets them again. */
  readonly #seldomLog: Log;
  readonly #now: () => number;
  /** Newer than what the store has, and else the same. */
  readonly #remembered: Map<string, HealthRecord> = new Map();
  /** How many fail, by the head that they were counted at. */
  #failing: { readonly headBody: Uint8Array | undefined; readonly count: Promise<number> } | undefined;

  constructor(vault: Vault, log: Log, now: () => number) {
    this.#vault = vault;
    this.#log = log;
    this.#seldomLog = seldom(log);
    this.#now = now;
    vault.watch((change) => this.#forgetWhatIsGone(change));
  }

  /** How many results are remembered. */
  get remembered(): number {
    return this.#remembered.size;
  }

  /** The last result of a set, be it of an older generation. */
  last(reader: VaultReader, space: Space, set: string): HealthRecord | undefined {
    const stored = reader.health(space, set);
    const remembered = this.#remembered.get(setKey({ space, set }));
    // What was removed meanwhile, or written since, has no part in it.
    return stored !== undefined && remembered?.generation === stored.generation && remembered.checked > stored.checked
      ? remembered
      : stored;
  }

  /**
   * Keeps what a trial came to, unless it tells nothing of the set, nothing of the set is there any more, something newer
   * is known, or the store was locked.
   *
   * @returns undefined where nothing was kept
   * @throws CredentialError `Damaged`
   */
  async keep(outcome: Outcome): Promise<Change | undefined> {
    const { space, set } = outcome;
    const isStillOpen = !this.#vault.isLocked && this.#vault.unlocked() === outcome.of;
    if (!isStillOpen || !isOfTheSet(outcome.findings)) return undefined;
    const checked = this.#now();
    const { stored, before, isThere } = this.#vault.read((reader) => ({
      stored: reader.health(space, set),
      before: this.last(reader, space, set),
      isThere: wholeSet(reader, space, set).size > 0,
    }));
    if (!isThere) return undefined;
    const after = healthAfter(outcome, before, checked);
    const key = setKey({ space, set });
    const isYoung = stored !== undefined && checked - stored.checked < WRITE_PAUSE_MS && checked >= stored.checked;
    if (isYoung && isSame(stored, after) && this.#remembered.size < REMEMBERED_MAX) {
      this.#remembered.set(key, after);
      return { before, after };
    }
    if (!(await this.#write(after, outcome.of))) return undefined;
    this.#remembered.delete(key);
    return { before, after };
  }

  /** Of sets that were removed, and all where the store was locked, repaired or replaced. */
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

  /** A validation is worth something without it, so it fails by itself. */
  async #write(after: HealthRecord, of: Unlocked): Promise<boolean> {
    try {
      return await this.#vault.write((writer) => {
        // A copy may have been restored while this waited for its turn.
        if (this.#vault.unlocked() !== of) return false;
        // Asked again: a write in between may have removed the set, with what was known of it, or proved a newer one.
        const { space, set, generation } = after;
        const isThere = wholeSet(writer, space, set).size > 0;
        const isNews = isThere && (writer.health(space, set)?.generation ?? 0) <= generation;
        if (isNews) writer.putHealth(after);
        return isNews;
      });
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      const log = storeErrorBehind(error) === undefined ? this.#log : this.#seldomLog;
      if (error.code !== 'Locked') log.warning('the result of a validation was not kept', { reason: error.code });
      return false;
    }
  }

  /** Keeps that a set passed, in the transaction that makes it what it was when it passed. */
  keepProved(writer: VaultWriter, outcome: Omit<Outcome, 'of'>): void {
    writer.putHealth(healthAfter(outcome, writer.health(outcome.space, outcome.set), this.#now()));
  }

  /** How many sets fail as they are now, of all owners; counted once for all who ask before the next commit. */
  async countFailing(): Promise<number> {
    const { headBody } = this.#vault.unlocked();
    if (this.#failing !== undefined && this.#failing.headBody === headBody) return await this.#failing.count;
    const failing = { headBody, count: this.#countAllFailing() };
    this.#failing = failing;
    // Locked, or with a page that cannot be read: whoever asks next has it tried anew.
    failing.count.catch(() => {
      if (this.#failing === failing) this.#failing = undefined;
    });
    return await failing.count;
  }

  /** It goes through all results, and mostly answers in this turn. */
  async #countAllFailing(): Promise<number> {
    let { epoch } = this.#vault.unlocked().sealing;
    let count = 0;
    let after: Uint8Array | undefined;
    for (;;) {
      const page = this.#vault.read((reader) => countPage(reader, after));
      count += page.failing;
      after = page.next;
      if (after === undefined) return count;
      // Not by the turns that long works take: who asks for the status of a busy daemon would wait for all of them.
      await nextTurn();
      const current = this.#vault.unlocked().sealing.epoch;
      if (current === epoch) continue;
      // Under another data key they come in another order.
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

/** Whether what was found says something of the set: a prober that died, or a caller who went away, do not. */
function isOfTheSet(findings: readonly Finding[]): boolean {
  return !findings.some(({ reason }) => reason !== undefined && NOT_OF_THE_SET.has(reason));
}

function healthAfter(outcome: Omit<Outcome, 'of'>, before: HealthRecord | undefined, checked: number): HealthRecord {
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

/** What failed of the same set, and was left out this time: a trial that writes nothing does not show that it can write. */
function stillFailing(
  { generation, findings }: Pick<Outcome, 'generation' | 'findings'>,
  before: HealthRecord | undefined,
): Finding | undefined {
  const finding = before?.generation === generation ? before.finding : undefined;
  const isLeftOut = findings.some(({ check, reason }) => check === finding?.check && reason === 'restore_only');
  return isLeftOut ? finding : undefined;
}

/** But for the time. */
function isSame(a: HealthRecord, b: HealthRecord): boolean {
  const isSameFinding =
    a.finding?.check === b.finding?.check &&
    a.finding?.reason === b.finding?.reason &&
    a.finding?.field === b.finding?.field &&
    a.finding?.subject === b.finding?.subject;
  return a.generation === b.generation && a.state === b.state && isSameFinding;
}
