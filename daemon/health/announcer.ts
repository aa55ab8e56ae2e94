import { ownerOfSpace } from '../access/rules.ts';
import { uuidOfSet } from '../access/set-uuid.ts';
import type { Log } from '../log.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { HealthRecord } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { HealthChange } from './health-records.ts';

const HOUR_MS: number = 60 * 60 * 1000;

/**
 * Most changes of a set in an hour that are logged. With one more, the set is muted until an hour passes without any.
 */
export const CHANGES_PER_HOUR_MAX = 4;

/** Most sets that are tracked at a time; for one more, the one that has been tracked longest is forgotten. */
const SETS_MAX = 10_000;

interface TrackedSet {
  /** The state that was logged last, or that the set had when the daemon began to track it. */
  logged: HealthRecord['state'];
  seen: HealthRecord['state'];
  /** When the state changed within the last hour. */
  changes: readonly number[];
  isMuted: boolean;
}

/**
 * Logs when a set begins to fail and when it works again, and nothing while its state stays the same. A set is logged
 * by its UUID: names are kept out of the log.
 */
export class Announcer {
  readonly #log: Log;
  readonly #vault: Pick<Vault, 'storeId'>;
  readonly #now: () => number;
  readonly #tracked: Map<string, TrackedSet> = new Map();

  constructor(log: Log, vault: Pick<Vault, 'storeId'>, now: () => number) {
    this.#log = log;
    this.#vault = vault;
    this.#now = now;
  }

  /** @param mayLog whether the change may be logged now; if not, it is logged when the same result is observed again */
  observe({ before, after }: HealthChange, mayLog: boolean): void {
    const set = this.#track(before, after);
    if (!mayLog) return;
    const now = this.#now();
    if (set.seen !== after.state) set.changes = [...set.changes, now];
    set.seen = after.state;
    // If the clock was set back, a time in the future is not within the last hour.
    set.changes = set.changes.filter((time) => time <= now && now - time < HOUR_MS);
    if (set.isMuted && set.changes.length > 0) return;
    set.isMuted = set.changes.length > CHANGES_PER_HOUR_MAX;
    if (set.isMuted) {
      this.#log.warning(
        'a set keeps changing between failing and working; no more is logged of it until it is stable',
        this.#fieldsOf(after),
      );
    } else if (set.logged !== after.state) {
      set.logged = after.state;
      this.#logState(after);
    }
  }

  #logState(after: HealthRecord): void {
    if (after.state === 'passed') {
      this.#log.info('a set works again', this.#fieldsOf(after));
      return;
    }
    const { check = 'shape', reason = 'invalid_value' } = after.finding ?? {};
    this.#log.warning('a set fails its validation', { ...this.#fieldsOf(after), check, reason });
  }

  /**
   * A shared set has no owner: its number on the wire, 0, would be taken for root's uid, even with a user's own daemon.
   */
  #fieldsOf({ space, set }: HealthRecord): { readonly set: string; readonly owner: number | 'shared' } {
    const owner = space === SHARED_SPACE ? 'shared' : ownerOfSpace(space);
    return { set: uuidOfSet(this.#vault.storeId, space, set), owner };
  }

  /** Returns what is known of a set. A set that was never validated counts as working until it fails. */
  #track(before: HealthRecord | undefined, { space, set }: HealthRecord): TrackedSet {
    // After the contents of another store were restored, a set of the same name is a new one, of which nothing was
    // logged.
    const key = uuidOfSet(this.#vault.storeId, space, set);
    const known = this.#tracked.get(key);
    if (known !== undefined) return known;
    const state = before?.state ?? 'passed';
    const tracked: TrackedSet = { logged: state, seen: state, changes: [], isMuted: false };
    if (this.#tracked.size >= SETS_MAX) {
      const [oldest] = this.#tracked.keys();
      if (oldest !== undefined) this.#tracked.delete(oldest);
    }
    this.#tracked.set(key, tracked);
    return tracked;
  }
}
