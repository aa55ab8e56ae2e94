import type { Facts } from '../facts.ts';
import { formatTime } from '../../time.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Amazon S3 and its likes refuse a signature whose time is further off (`RequestTimeTooSkewed`). */
const S3_SKEW_MS = 15 * 60_000;
/** What a clock may be set back when it is put right. */
const STEP_MS = 60_000;

const SYNCHRONIZE = 'timedatectl set-ntp true';

/** Whether the clock is right, as far as that shows. */
export function checkClock({ clock, daemon }: Facts): Verdict {
  const notes = new Notes();
  const { nowMs, programMs } = clock;
  const list = daemon.kind === 'answered' && 'value' in daemon.list ? daemon.list.value : undefined;
  const newestMs = list?.credentials.reduce((newest, { changed }) => Math.max(newest, changed), 0) ?? 0;
  const behindMs = Math.max(newestMs, programMs ?? 0) - nowMs;
  if (behindMs > STEP_MS) {
    const what = `the clock says ${formatTime(nowMs)}, which is before ${
      newestMs >= (programMs ?? 0) ? 'the newest change of the store' : 'cio was made'
    }: ${formatTime(nowMs + behindMs)}`;
    if (behindMs > S3_SKEW_MS) {
      notes.error(what, 'S3 servers refuse signatures that are more than 15 minutes off: backups fail', SYNCHRONIZE);
    } else {
      notes.warning(what, 'it was wrong then, or is now; S3 servers allow 15 minutes', SYNCHRONIZE);
    }
  }
  if (notes.see(clock.isSynchronized) === false) {
    notes.warning(
      'the clock is not synchronized',
      'it drifts, and S3 servers refuse signatures that are more than 15 minutes off',
      SYNCHRONIZE,
    );
  }
  return notes;
}
