import type { ClockFacts, Facts, StoredNames } from '../facts.ts';
import { formatTime } from '../../time.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Amazon S3 and its likes refuse a signature whose time is further off (`RequestTimeTooSkewed`). */
const S3_SKEW_MS = 15 * 60_000;
/** What a clock may be set back when it is put right. */
const STEP_MS = 60_000;

/** What has the clock set, by what there is for it. Where it is set already, that has not come to anything yet. */
const SYNCHRONIZE = {
  absent:
    'apt-get install systemd-timesyncd && systemctl unmask systemd-timesyncd && systemctl enable --now systemd-timesyncd',
  off: 'timedatectl set-ntp true',
  on: undefined,
} as const;

const NOT_YET = 'the service that sets it runs, and does not call it right yet';

type Credentials = StoredNames['credentials'];

/** Whether the clock is right, as far as that shows. */
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
      mendOf(clock),
    );
  }
  return notes;
}

function mendOf({ setter }: ClockFacts): string | undefined {
  return setter && SYNCHRONIZE[setter];
}

/** Where the clock is right, a date that is yet to come is wrong: it was given while the clock was not. */
function checkDates(notes: Notes, credentials: Credentials, nowMs: number): void {
  const early = credentials.filter(({ changed }) => changed - nowMs > STEP_MS);
  const [first] = early;
  if (first === undefined) return;
  const others = early.length === 1 ? '' : ` (and ${early.length - 1} more)`;
  notes.warning(
    `${first.name}${others} was changed at ${formatTime(first.changed)}, which is yet to come`,
    'the clock was wrong then, and is synchronized now; the next change of the value puts the date right',
  );
}

/** Where nobody sets the clock, it is wrong if it is behind what has happened. */
function checkBehind(notes: Notes, credentials: Credentials, clock: ClockFacts): void {
  const { nowMs, programMs = 0 } = clock;
  const newestMs = credentials.reduce((newest, { changed }) => Math.max(newest, changed), 0);
  const behindMs = Math.max(newestMs, programMs) - nowMs;
  if (behindMs <= STEP_MS) return;
  const event = newestMs >= programMs ? 'the newest change of the store' : 'cio was made';
  const what = `the clock says ${formatTime(nowMs)}, which is before ${event}: ${formatTime(nowMs + behindMs)}`;
  if (behindMs > S3_SKEW_MS) {
    notes.error(what, 'S3 servers refuse signatures that are more than 15 minutes off: backups fail', mendOf(clock));
  } else {
    notes.warning(what, 'it was wrong then, or is now; S3 servers allow 15 minutes', mendOf(clock));
  }
}
