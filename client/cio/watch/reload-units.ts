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

/** The credentials that all administrators share: no user has units of the host reloaded. */
const SHARED = 0;

/** Sets with that field, however many credentials there are besides. */
const NAMING_UNITS = memberName('*', 'reload_units');

const SYSTEMCTL = '/usr/bin/systemctl';

/** How long a unit is left alone before it is reloaded: what changes a set field by field has as many commits. */
const SETTLE_MS = 2000;

/** systemctl has only to hand the job over. */
const SYSTEMCTL_TIME_MAX_MS = 30_000;

/** Reloads the units that sets name (`reload_units`) after each change of such a set, for ever. */
export async function reloadUnits(session: Session): Promise<never> {
  const units = new SettlingUnits(session);
  const events = {
    onLost: () => session.note('The daemon cannot be reached, or is locked; waiting until it is back.'),
    onBack: () => session.note('Watching again.'),
  };
  for await (const { isFirst, told } of follow(session, { owner: SHARED, patterns: [NAMING_UNITS] }, events, true)) {
    // What was so when this began is what the units began with.
    if (isFirst) continue;
    for (const each of told) {
      if (each.event === 'gone' || each.kind !== 'set' || !isChanged(each.item, each.before)) continue;
      await touchUnitsOf(session, units, each.item.set);
    }
  }
  throw new TypeError('a watch has no end');
}

/** What was told once is not told again: where the daemon is gone, or locked, before it says which units, it is asked again. */
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

/** Whether it is another set than it was, and one that can be used. Having been tried does not make it another. */
function isChanged(set: WatchedSet, before: WatchedSet | undefined): boolean {
  // Of another store, whose copy was restored, an equal generation says nothing.
  const isAnother = set.generation !== before?.generation || set.uuid !== before.uuid;
  return set.reloadUnits && set.ready && set.owner === SHARED && isAnother;
}

/** The units that a set names: those that it, or one of its credentials, was granted to, and the others. */
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

/** Units that are reloaded once they are named no more for a moment. */
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

  /** systemd is not waited for: it does what it can, one job of a unit at a time. A unit that does not run stays as it is. */
  #reload(unit: string): void {
    const words = ['--no-block', 'try-reload-or-restart', '--', unit];
    execFile(SYSTEMCTL, words, { timeout: SYSTEMCTL_TIME_MAX_MS }, (error, _stdout, stderr) => {
      if (error === null) this.#session.note(`${unit} is to reload or restart, where it runs: its set has changed.`);
      else this.#session.note(`${unit} is not reloaded: ${stderr.trim() || 'systemctl failed'}`);
    });
  }
}
