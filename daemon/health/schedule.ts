import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { membershipOf } from '../../src/sets.ts';
import type { Finding } from '../../src/validation.ts';
import type { Subject } from '../access/caller.ts';
import { everyCredential } from '../access/every-credential.ts';
import { viewSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import { Emitter } from '../emitter.ts';
import { describeDefect } from '../log.ts';
import type { Log } from '../log.ts';
import { SCHEDULED_JOBS_MAX } from '../probe/job-bounds.ts';
import type { Prober } from '../probe/prober.ts';
import { TimeSlice } from '../time-slice.ts';
import { countDamaged } from '../vault/reader.ts';
import { setKey } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { Announcer } from './announcer.ts';
import { readCandidate } from './candidate.ts';
import { dueTime } from './due.ts';
import type { HealthRecords } from './health-records.ts';
import { isValidatable, validateSet } from './validate-set.ts';

/** How many times in each interval the schedule looks for sets that are due. */
const SWEEPS_PER_INTERVAL = 16;
const SWEEP_PAUSE_MIN_MS = 1000;
const SWEEP_PAUSE_MAX_MS: number = 5 * 60 * 1000;

/** The search through a large store takes at most this part of the time. */
const SWEEP_SHARE_MAX = 0.05;

/** Most sets that are validated before the next search: sets of other owners may have become due meanwhile. */
const VALIDATED_PER_SWEEP_MAX = 32;

/** Longest time before the next search, if validations hang: no more validations begin after it. */
const SWEEP_TIME_MAX_MS: number = 5 * 60 * 1000;

/** The daemon itself as a reader: it reads every set, and reveals nothing but its health. */
const DAEMON: Subject = { isAdministrator: true, space: undefined, principals: () => [] };

export interface ScheduleParts {
  readonly vault: Vault;
  readonly prober: Prober;
  readonly health: HealthRecords;
  readonly announcer: Announcer;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How often each set is validated, in milliseconds. */
  readonly everyMs: number;
}

interface DueSet {
  readonly space: Space;
  readonly set: string;
  readonly due: number;
}

/**
 * Validates every set again after some time, without writing anything to its servers: a few at a time, spread over the
 * interval, and none while the store is locked. When a set is due follows only from what is stored of it.
 */
export class HealthSchedule {
  readonly #parts: ScheduleParts;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** Tells the jobs that are under way that nobody waits for them any more. */
  readonly #cancellation: Emitter = new Emitter();
  /** The sets whose last validation said nothing about them, and when it was. */
  readonly #inconclusive: Map<string, number> = new Map();
  #since: number | undefined;
  /** The prober was missing in this sweep. */
  #isProberMissing = false;
  #isMissingLogged = false;
  /** How long the last search through the store took. */
  #searchMs = 0;
  #running: Promise<void> | undefined;
  #stopWatching: () => void = () => undefined;

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
  }

  start(): void {
    const { vault } = this.#parts;
    this.#stopWatching = vault.watch(() => {
      if (vault.isLocked) this.#cancellation.fire();
    });
    this.#plan();
  }

  /** Cancels the validations that are under way, and waits for their end. */
  async stop(): Promise<void> {
    this.#stopWatching();
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#cancellation.fire();
    await this.#running;
  }

  /** Validates the sets that are due now. */
  async sweep(): Promise<void> {
    const { vault, now } = this.#parts;
    if (vault.isLocked) {
      this.#since = undefined;
      return;
    }
    // If the clock was set back, the start would be in the future, and nothing would be due before it.
    this.#since = Math.min(this.#since ?? now(), now());
    try {
      const due = roundRobinByOwner(await this.#findDue(this.#since)).slice(0, VALIDATED_PER_SWEEP_MAX);
      const end = performance.now() + SWEEP_TIME_MAX_MS;
      this.#isProberMissing = false;
      const goesOn = (): boolean => !this.#isEnded && !this.#isProberMissing && performance.now() < end;
      const work = async (): Promise<void> => {
        for (let next = due.shift(); next !== undefined && goesOn(); next = due.shift())
          await this.#validateOrSkip(next);
      };
      const ends = await Promise.allSettled(Array.from({ length: SCHEDULED_JOBS_MAX }, work));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    } catch (error) {
      // The store was locked or got another key meanwhile, its disk is full, or the last prober has not ended yet: the
      // next sweep tries again.
      if (!(error instanceof CredentialError)) throw error;
    }
  }

  #plan(): void {
    const { everyMs } = this.#parts;
    const usual = Math.min(Math.max(everyMs / SWEEPS_PER_INTERVAL, SWEEP_PAUSE_MIN_MS), SWEEP_PAUSE_MAX_MS);
    const wait = Math.max(usual, this.#searchMs / SWEEP_SHARE_MAX);
    this.#timer = setTimeout(() => void (this.#running = this.#tick()), wait).unref();
  }

  async #tick(): Promise<void> {
    try {
      await this.sweep();
    } catch (error) {
      this.#parts.log.error('a scheduled validation failed: internal error', describeDefect(error));
    }
    if (!this.#isStopped) this.#plan();
  }

  async #findDue(since: number): Promise<DueSet[]> {
    const { vault, now } = this.#parts;
    const startedMs = performance.now();
    const slice = new TimeSlice(vault.turns, undefined);
    const sets = new Map<string, { readonly space: Space; readonly set: string }>();
    for await (const { records } of everyCredential(vault, slice)) {
      if (this.#isEnded) return [];
      for (const { space, name } of records) {
        const set = membershipOf(name)?.set;
        if (set !== undefined) sets.set(setKey({ space, set }), { space, set });
      }
    }
    const due: DueSet[] = [];
    for (const [key, { space, set }] of sets) {
      await slice.pause();
      if (this.#isEnded) return [];
      const time = this.#dueTimeOf(key, space, set, since);
      if (time !== undefined && time <= now()) due.push({ space, set, due: time });
    }
    for (const key of this.#inconclusive.keys()) if (!sets.has(key)) this.#inconclusive.delete(key);
    this.#searchMs = performance.now() - startedMs;
    return due;
  }

  /** Returns when a set is due; undefined if it cannot be validated. */
  #dueTimeOf(key: string, space: Space, set: string, since: number): number | undefined {
    const { vault, health, everyMs, now } = this.#parts;
    return vault.read((reader) => {
      const view = countDamaged({ damaged: 0 }, () => viewSet(DAEMON, reader, space, set));
      if (view === undefined || !isViewValidatable(view)) return undefined;
      const last = health.last(reader, space, set);
      const checked = last?.generation === view.generation ? last.checked : undefined;
      // If the clock was set back, there may be times in the future, which mean nothing.
      const past = (time = 0): number => (time > now() ? 0 : time);
      const latest = Math.max(past(checked), past(this.#inconclusive.get(key)));
      const validated = latest === 0 ? undefined : latest;
      return dueTime({ key, validated, changed: past(view.changed), since, everyMs });
    });
  }

  /** Validates a set. If it cannot be read because a value is damaged, the others are still validated. */
  async #validateOrSkip(due: DueSet): Promise<void> {
    try {
      await this.#validate(due);
    } catch (error) {
      if (!isCredentialError(error, 'Damaged')) throw error;
      this.#inconclusive.set(setKey(due), this.#parts.now());
    }
  }

  async #validate({ space, set }: DueSet): Promise<void> {
    const { vault, prober, health, announcer, now } = this.#parts;
    const unlocked = vault.unlocked();
    const read = vault.read((reader) => {
      const view = viewSet(DAEMON, reader, space, set);
      if (view === undefined || !isViewValidatable(view)) return undefined;
      return { candidate: readCandidate(reader, DAEMON, view), generation: view.generation };
    });
    if (read === undefined) return;
    const options = {
      owner: 'schedule',
      shapeOnly: false,
      restoreOnly: true,
      makeBucket: false,
      keysSuffice: false,
    } as const;
    const findings: Finding[] = [];
    for await (const found of validateSet(prober, read.candidate, options, this.#cancellation.subscribe))
      findings.push(...found);
    if (this.#isEnded) return;
    if (this.#isWithoutProber(findings)) return;
    const change = await health.record({ space, set, generation: read.generation, findings, unlocked });
    const key = setKey({ space, set });
    if (change === undefined) {
      this.#inconclusive.set(key, now());
    } else {
      this.#inconclusive.delete(key);
      announcer.observe(change, true);
    }
  }

  /**
   * Tells whether the prober is missing. If so, the sweep ends, and its sets are still due at the next one. Logged
   * once, however many sets could not be validated.
   */
  #isWithoutProber(findings: readonly Finding[]): boolean {
    this.#isProberMissing = findings.some(({ reason }) => reason === 'prober_missing');
    if (this.#isProberMissing && !this.#isMissingLogged) {
      this.#parts.log.warning('scheduled validations are not possible: the prober is missing');
    }
    this.#isMissingLogged = this.#isProberMissing;
    return this.#isProberMissing;
  }

  get #isEnded(): boolean {
    return this.#isStopped || this.#parts.vault.isLocked;
  }
}

function isViewValidatable({ missing, members }: SetView): boolean {
  return isValidatable(missing, members.has('bucket'));
}

/** Orders sets by when they became due, but no owner's second set before another owner's first. */
function roundRobinByOwner(due: readonly DueSet[]): DueSet[] {
  const turns = new Map<Space, number>();
  return due
    .toSorted((a, b) => a.due - b.due)
    .map((one) => {
      const turn = turns.get(one.space) ?? 0;
      turns.set(one.space, turn + 1);
      return { one, turn };
    })
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ one }) => one);
}
