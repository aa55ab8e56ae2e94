import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { membershipOf } from '../../src/sets.ts';
import type { Finding } from '../../src/validation.ts';
import type { Subject } from '../access/caller.ts';
import { everyCredential } from '../access/every-credential.ts';
import { viewSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import { Departure } from '../gone.ts';
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
import type { HealthBook } from './health-book.ts';
import { isTriable, tryOut } from './try-out.ts';

/** Looks for what is due, per interval. */
const SWEEPS_PER_INTERVAL = 16;
const SWEEP_PAUSE_MIN_MS = 1000;
const SWEEP_PAUSE_MAX_MS: number = 5 * 60 * 1000;

/** Looking through a large store takes at most this part of the time. */
const SWEEP_SHARE_MAX = 0.05;

/** Sets that are tried before it is looked again: others may have become due meanwhile, of other owners. */
const TRIED_PER_SWEEP_MAX = 32;

/** The same of time, where what is tried hangs: no more is begun then. */
const SWEEP_TIME_MAX_MS: number = 5 * 60 * 1000;

/** The daemon itself: it reads everything, and tells only how it does. */
const DAEMON: Subject = { isAdministrator: true, space: undefined, principals: () => [] };

export interface ScheduleParts {
  readonly vault: Vault;
  readonly prober: Prober;
  readonly book: HealthBook;
  readonly announcer: Announcer;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How often each set is tried, in milliseconds. */
  readonly everyMs: number;
}

interface DueSet {
  readonly space: Space;
  readonly set: string;
  readonly due: number;
}

/**
 * Tries every set again after some time, without writing anything at its servers: a few at a time, spread over the
 * interval, and none while the store is locked. There is no plan but what is stored of each set.
 */
export class HealthSchedule {
  readonly #parts: ScheduleParts;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** For the jobs that are under way: nobody waits for them any more. */
  readonly #jobs: Departure = new Departure();
  /** Sets whose last trial told nothing of them, and when that was. */
  readonly #inVain: Map<string, number> = new Map();
  #since: number | undefined;
  /** In this sweep. */
  #isProberMissing = false;
  #isMissingTold = false;
  /** How long the last look through the store took. */
  #searchMs = 0;
  #running: Promise<void> | undefined;
  #unwatch: () => void = () => undefined;

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
  }

  start(): void {
    const { vault } = this.#parts;
    this.#unwatch = vault.watch(() => {
      if (vault.isLocked) this.#jobs.tell();
    });
    this.#plan();
  }

  /** Cancels what is under way. */
  async stop(): Promise<void> {
    this.#unwatch();
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#jobs.tell();
    await this.#running;
  }

  /** Tries what is due now. */
  async sweep(): Promise<void> {
    const { vault, now } = this.#parts;
    if (vault.isLocked) {
      this.#since = undefined;
      return;
    }
    // A clock that was set back would leave a beginning in the future, before which nothing is due.
    this.#since = Math.min(this.#since ?? now(), now());
    try {
      const due = takeTurns(await this.#findDue(this.#since)).slice(0, TRIED_PER_SWEEP_MAX);
      const end = performance.now() + SWEEP_TIME_MAX_MS;
      this.#isProberMissing = false;
      const goesOn = (): boolean => !this.#isEnded && !this.#isProberMissing && performance.now() < end;
      const work = async (): Promise<void> => {
        for (let next = due.shift(); next !== undefined && goesOn(); next = due.shift()) await this.#tryOrLeave(next);
      };
      const ends = await Promise.allSettled(Array.from({ length: SCHEDULED_JOBS_MAX }, work));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    } catch (error) {
      // Locked or given another key meanwhile, its disk is full, or a prober still ends: the next sweep sees.
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
      this.#parts.log.error('a scheduled validation failed by a defect', describeDefect(error));
    }
    if (!this.#isStopped) this.#plan();
  }

  async #findDue(since: number): Promise<DueSet[]> {
    const { vault, now } = this.#parts;
    const startedMs = performance.now();
    const slice = new TimeSlice(vault.turns, undefined);
    const sets = new Map<string, { readonly space: Space; readonly set: string }>();
    for await (const { records } of everyCredential(vault, undefined)) {
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
    for (const key of this.#inVain.keys()) if (!sets.has(key)) this.#inVain.delete(key);
    this.#searchMs = performance.now() - startedMs;
    return due;
  }

  /** Undefined for a set of which there is nothing to be tried. */
  #dueTimeOf(key: string, space: Space, set: string, since: number): number | undefined {
    const { vault, book, everyMs, now } = this.#parts;
    return vault.read((reader) => {
      const view = countDamaged({ damaged: 0 }, () => viewSet(DAEMON, reader, space, set));
      if (view === undefined || !canBeTried(view)) return undefined;
      const last = book.last(reader, space, set);
      const checked = last?.generation === view.generation ? last.checked : undefined;
      // A clock that was set back leaves times in the future, which nothing can be told by.
      const past = (time = 0): number => (time > now() ? 0 : time);
      const latest = Math.max(past(checked), past(this.#inVain.get(key)));
      const tried = latest === 0 ? undefined : latest;
      return dueTime({ key, tried, changed: past(view.changed), since, everyMs });
    });
  }

  /** A set that cannot be read, since a value of it is damaged, keeps none of the others from being tried. */
  async #tryOrLeave(due: DueSet): Promise<void> {
    try {
      await this.#try(due);
    } catch (error) {
      if (!isCredentialError(error, 'Damaged')) throw error;
      this.#inVain.set(setKey(due), this.#parts.now());
    }
  }

  async #try({ space, set }: DueSet): Promise<void> {
    const { vault, prober, book, announcer, now } = this.#parts;
    const of = vault.unlocked();
    const read = vault.read((reader) => {
      const view = viewSet(DAEMON, reader, space, set);
      if (view === undefined || !canBeTried(view)) return undefined;
      return { candidate: readCandidate(reader, DAEMON, view), generation: view.generation };
    });
    if (read === undefined) return;
    const trial = {
      owner: 'schedule',
      shapeOnly: false,
      restoreOnly: true,
      makeBucket: false,
      keysSuffice: false,
    } as const;
    const findings: Finding[] = [];
    for await (const found of tryOut(prober, read.candidate, trial, this.#jobs.gone)) findings.push(...found);
    if (this.#isEnded) return;
    if (this.#isWithoutProber(findings)) return;
    const change = await book.keep({ space, set, generation: read.generation, findings, of });
    const key = setKey({ space, set });
    if (change === undefined) {
      this.#inVain.set(key, now());
    } else {
      this.#inVain.delete(key);
      announcer.hear(change, true);
    }
  }

  /** Then the sweep ends, and what was due still is at the next one. Told once, however many sets could not be tried. */
  #isWithoutProber(findings: readonly Finding[]): boolean {
    this.#isProberMissing = findings.some(({ reason }) => reason === 'prober_missing');
    if (this.#isProberMissing && !this.#isMissingTold) {
      this.#parts.log.warning('scheduled validations cannot be done: the prober is not there');
    }
    this.#isMissingTold = this.#isProberMissing;
    return this.#isProberMissing;
  }

  get #isEnded(): boolean {
    return this.#isStopped || this.#parts.vault.isLocked;
  }
}

function canBeTried({ missing, members }: SetView): boolean {
  return isTriable(missing, members.has('bucket'));
}

/** What was due first comes first, but no owner's second set before another one's first. */
function takeTurns(due: readonly DueSet[]): DueSet[] {
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
