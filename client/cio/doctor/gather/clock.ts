import { existsSync, statSync } from 'node:fs';
import type { ClockFacts } from '../facts.ts';
import type { Seen } from '../verdict.ts';
import { attempt } from './files.ts';
import { ask } from './run.ts';

/** systemd-timesyncd makes it when the clock is right (systemd-timesyncd.service(8)). */
const TIMESYNC_MARK = '/run/systemd/timesync/synchronized';

/** Looks at the clock. */
export function lookAtClock(isSystemdRunning: boolean): ClockFacts {
  const program = attempt('cio', () => statSync(process.argv[1] ?? '').mtimeMs);
  return {
    nowMs: Date.now(),
    isSynchronized: isSystemdRunning ? askTimedatectl() : askMark(),
    programMs: 'value' in program ? program.value : undefined,
  };
}

function askTimedatectl(): Seen<boolean> {
  const answer = ask('timedatectl', ['show', '-p', 'NTPSynchronized', '--value']);
  return 'unseen' in answer ? answer : { value: answer.value.trim() === 'yes' };
}

function askMark(): Seen<boolean> {
  if (existsSync(TIMESYNC_MARK)) return { value: true };
  return { unseen: 'whether the clock is synchronized is not known without systemd' };
}
