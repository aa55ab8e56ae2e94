import type { ClockFacts, Facts, StoredNames } from '../facts.ts';
import { formatTime } from '../../time.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Amazon S3 and compatible servers refuse a signature whose time is further off (`RequestTimeTooSkewed`). */
const S3_SKEW_MS = 15 * 60_000;
/** Tolerance for the step back that a clock can make when it is synchronized. */
const STEP_MS = 60_000;

/** The command that turns time synchronization on, by the state of the time service; none where it runs already. */
const SYNCHRONIZE = {
  absent:
    'apt-get install systemd-timesyncd && systemctl unmask systemd-timesyncd && systemctl enable --now systemd-timesyncd',
  off: 'timedatectl set-ntp true',
  on: undefined,
} as const;

const NOT_YET = 'the time service runs, but has not synchronized it yet';

type Credentials = StoredNames['credentials'];

/** Checks whether the clock is right, as far as that can be told from this host. */
export function checkClock({ clock, daemon }: Facts): Verdict {
  const notes = new Notes();
  const list = daemon.kind === 'answered' && 'value' in daemon.list ? daemon.list.value.credentials : [];
  const isSynchronized = notes.see(clock.isSynchronized);
  if (isSynchronized === true) checkDates(notes, list, clock.nowMs);
  else checkBehind(notes, list, clock);
  if (isSynchronized === false) {
    notes.warning(
      'the clock is not synchronized',
      `it drifts, and S3 servers refuse signatures that are more than 15 minutes off${clock.setter === 'on' ? `; ${NOT_YET}` : ''}`,
      fixOf(clock),
    );
  }
  return notes;
}

function fixOf({ setter }: ClockFacts): string | undefined {
  return setter && SYNCHRONIZE[setter];
}

/** While the clock is right, a stored date in the future is wrong: it was written while the clock was wrong. */
function checkDates(notes: Notes, credentials: Credentials, nowMs: number): void {
  const early = credentials.filter(({ changed }) => changed - nowMs > STEP_MS);
  const [first] = early;
  if (first === undefined) return;
  const others = early.length === 1 ? '' : ` (and ${early.length - 1} more)`;
  notes.warning(
    `${first.name}${others} was changed at ${formatTime(first.changed)}, which is in the future`,
    'the clock was wrong then, and is synchronized now; the next change of the value corrects the date',
  );
}

/** A clock that is not synchronized is wrong if it is behind an event that has already happened. */
function checkBehind(notes: Notes, credentials: Credentials, clock: ClockFacts): void {
  const { nowMs, programMs = 0 } = clock;
  const newestMs = credentials.reduce((newest, { changed }) => Math.max(newest, changed), 0);
  const behindMs = Math.max(newestMs, programMs) - nowMs;
  if (behindMs <= STEP_MS) return;
  const event = newestMs >= programMs ? 'the newest change of the store' : 'cio was built';
  const what = `the clock says ${formatTime(nowMs)}, which is before ${event}: ${formatTime(nowMs + behindMs)}`;
  if (behindMs > S3_SKEW_MS) {
    notes.error(what, 'S3 servers refuse signatures that are more than 15 minutes off: backups fail', fixOf(clock));
  } else {
    notes.warning(what, 'it was wrong then, or is now; S3 servers allow 15 minutes', fixOf(clock));
  }
}
