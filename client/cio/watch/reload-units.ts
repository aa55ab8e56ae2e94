import { execFile } from 'node:child_process';
import { isCredentialError } from '../../../src/errors.ts';
import type { Grantee, WatchedSet } from '../../../src/protocol/interface.generated.ts';
import { parseReloadUnits } from '../../../src/reload-units.ts';
import { memberName } from '../../../src/sets.ts';
import { templateOf } from '../../../src/units.ts';
import type { CredentialClient } from '../../client.ts';
import { explain } from '../messages.ts';
import type { Session } from '../session.ts';
import { ASK_AGAIN_MS, follow, passingReason } from './follow.ts';

/** The owner of the shared credentials. Sets of users are not watched: no user may have units of the host reloaded. */
const SHARED = 0;

/** Matches only the sets with that field, however many other credentials exist. */
const NAMING_UNITS = memberName('*', 'reload_units');

const SYSTEMCTL = '/usr/bin/systemctl';

/** How long a unit's set must stay unchanged before the reload: a change made field by field takes several commits. */
const SETTLE_MS = 2000;

/** systemctl only has to queue the job. */
const SYSTEMCTL_TIME_MAX_MS = 30_000;

/** Reloads the units that a set names in `reload_units` after each change of that set, without end. */
export async function reloadUnits(session: Session): Promise<never> {
  const units = new SettlingUnits(session);
  const listener = {
    onLost: () => session.note('The daemon cannot be reached, or is locked; waiting until it is back.'),
    onBack: () => session.note('Watching again.'),
  };
  for await (const { isFirst, events } of follow(
    session,
    { owner: SHARED, patterns: [NAMING_UNITS] },
    listener,
    true,
  )) {
    // The initial state is no change: the units started with it.
    if (isFirst) continue;
    for (const each of events) {
      if (each.event === 'gone' || each.kind !== 'set' || !isChanged(each.item, each.before)) continue;
      await touchUnitsOf(session, units, each.item.set);
    }
  }
  throw new TypeError('a watch has no end');
}

/**
 * Schedules the units of a set for a reload. The watch does not repeat a change, so if the daemon is gone or locked
 * when it is asked for the units, it is asked again until it answers.
 */
async function touchUnitsOf(session: Session, units: SettlingUnits, set: string, isAgain = false): Promise<void> {
  try {
    const due = await session.withClient((client) => unitsOf(client, set));
    for (const unit of due.granted) units.touch(unit);
    for (const unit of due.refused) session.note(`${unit} is not reloaded: nothing of the set is granted to it.`);
  } catch (error) {
    const isPassing = passingReason(error) !== undefined;
    if (!isPassing || !isAgain) {
      session.note(`The units of a set are not reloaded${isPassing ? ' yet' : ''}: ${explain(error).message}`);
    }
    if (isPassing) setTimeout(() => void touchUnitsOf(session, units, set, true), ASK_AGAIN_MS);
  }
}

/** Whether the contents of a set have changed, and it is complete. A validation alone is no change. */
function isChanged(set: WatchedSet, before: WatchedSet | undefined): boolean {
  // After a restore, the same generation can mean other contents; the UUID tells the stores apart.
  const isAnother = set.generation !== before?.generation || set.uuid !== before.uuid;
  return set.reloadUnits && set.ready && set.owner === SHARED && isAnother;
}

/** Returns the units that a set names, divided into those granted the set or one of its credentials, and the others. */
async function unitsOf(
  client: CredentialClient,
  set: string,
): Promise<{ readonly granted: readonly string[]; readonly refused: readonly string[] }> {
  const named = await namedUnits(client, set);
  const grantees = new Set<string>();
  const add = (grants: readonly Grantee[] | null | undefined): void => {
    for (const { unit } of grants ?? []) if (typeof unit === 'string') grantees.add(unit);
  };
  for await (const { credentials, sets } of client.stream('List', { patterns: [set], owner: SHARED })) {
    for (const each of credentials) if (each.set === set) add(each.grants);
    for (const each of sets) if (each.set === set) add(each.grants);
  }
  const isGranted = (unit: string): boolean => grantees.has(unit) || grantees.has(templateOf(unit) ?? unit);
  return { granted: named.filter(isGranted), refused: named.filter((unit) => !isGranted(unit)) };
}

async function namedUnits(client: CredentialClient, set: string): Promise<readonly string[]> {
  try {
    const { value } = await client.call('Get', { name: memberName(set, 'reload_units'), owner: SHARED });
    const units = parseReloadUnits(value ?? '');
    return 'reason' in units ? [] : units;
  } catch (error) {
    // Removed meanwhile.
    if (isCredentialError(error, 'NotFound')) return [];
    throw error;
  }
}

/** Delays the reload of each unit until its set has not changed for {@link SETTLE_MS}. */
class SettlingUnits {
  readonly #session: Session;
  readonly #timers: Map<string, NodeJS.Timeout> = new Map();

  constructor(session: Session) {
    this.#session = session;
  }

  touch(unit: string): void {
    clearTimeout(this.#timers.get(unit));
    const timer = setTimeout(() => {
      this.#timers.delete(unit);
      this.#reload(unit);
    }, SETTLE_MS);
    this.#timers.set(unit, timer);
  }

  /** Queues a reload without waiting for it: systemd runs one job of a unit at a time. A stopped unit stays stopped. */
  #reload(unit: string): void {
    const words = ['--no-block', 'try-reload-or-restart', '--', unit];
    execFile(SYSTEMCTL, words, { timeout: SYSTEMCTL_TIME_MAX_MS }, (error, _stdout, stderr) => {
      if (error === null) this.#session.note(`${unit} reloads or restarts, if it runs: its set has changed.`);
      else this.#session.note(`${unit} is not reloaded: ${stderr.trim() || 'systemctl failed'}`);
    });
  }
}
