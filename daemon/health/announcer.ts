import { ownerOfSpace } from '../access/rules.ts';
import { uuidOfSet } from '../access/set-uuid.ts';
import type { Log } from '../log.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { HealthRecord } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';
import type { Change } from './health-book.ts';

const HOUR_MS: number = 60 * 60 * 1000;

/** Changes of one set within an hour that are told; with one more it is muted until an hour goes by without any. */
export const CHANGES_PER_HOUR_MAX = 4;

/** Sets that are followed at a time; the one that was heard of first is forgotten for another. */
const SETS_MAX = 10_000;

interface Followed {
  /** What the log said last, or what was so when the daemon began to follow. */
  told: HealthRecord['state'];
  seen: HealthRecord['state'];
  /** When it changed, of the last hour. */
  changes: readonly number[];
  isMuted: boolean;
}

/**
 * Says in the log when a set begins to fail and when it works again, and nothing while it stays as it is. A set is called
 * by its UUID: its name is no business of the log.
 */
export class Announcer {
  readonly #log: Log;
  readonly #vault: Pick<Vault, 'storeId'>;
  readonly #now: () => number;
  readonly #followed: Map<string, Followed> = new Map();

  constructor(log: Log, vault: Pick<Vault, 'storeId'>, now: () => number) {
    this.#log = log;
    this.#vault = vault;
    this.#now = now;
  }

  /** @param isTold whether it may be said at once; if not, it is when the same is heard again */
  hear({ before, after }: Change, isTold: boolean): void {
    const set = this.#follow(before, after);
    if (!isTold) return;
    const now = this.#now();
    if (set.seen !== after.state) set.changes = [...set.changes, now];
    set.seen = after.state;
    // Of a clock that was set back, what comes from then is not of the last hour.
    set.changes = set.changes.filter((time) => time <= now && now - time < HOUR_MS);
    if (set.isMuted && set.changes.length > 0) return;
    set.isMuted = set.changes.length > CHANGES_PER_HOUR_MAX;
    if (set.isMuted) {
      this.#log.warning(
        'a set fails and works by turns; no more is said of it until it stays as it is',
        this.#of(after),
      );
    } else if (set.told !== after.state) {
      set.told = after.state;
      this.#tell(after);
    }
  }

  #tell(after: HealthRecord): void {
    if (after.state === 'passed') {
      this.#log.info('a set works again', this.#of(after));
      return;
    }
    const { check = 'shape', reason = 'invalid_value' } = after.finding ?? {};
    this.#log.warning('a set fails its validation', { ...this.#of(after), check, reason });
  }

  /** The owner of a shared set is nobody: its number on the wire would be taken for root's, also by a user's own daemon. */
  #of({ space, set }: HealthRecord): { readonly set: string; readonly owner: number | 'shared' } {
    const owner = space === SHARED_SPACE ? 'shared' : ownerOfSpace(space);
    return { set: uuidOfSet(this.#vault.storeId, space, set), owner };
  }

  /** What was never tried counts as working until it fails. */
  #follow(before: HealthRecord | undefined, { space, set }: HealthRecord): Followed {
    // After other contents were restored, a set of the same name is another one, of which nothing was told.
    const key = uuidOfSet(this.#vault.storeId, space, set);
    const known = this.#followed.get(key);
    if (known !== undefined) return known;
    const state = before?.state ?? 'passed';
    const followed: Followed = { told: state, seen: state, changes: [], isMuted: false };
    if (this.#followed.size >= SETS_MAX) {
      const [oldest] = this.#followed.keys();
      if (oldest !== undefined) this.#followed.delete(oldest);
    }
    this.#followed.set(key, followed);
    return followed;
  }
}
