import { existsSync, statSync } from 'node:fs';
import type { ClockFacts } from '../facts.ts';
import type { Seen } from '../verdict.ts';
import { trySee } from './files.ts';
import { ask, parseProperties } from './run.ts';

/** systemd-timesyncd creates this file once the clock is synchronized (systemd-timesyncd.service(8)). */
const TIMESYNC_MARK = '/run/systemd/timesync/synchronized';

/** Exists in a container, whose clock is set by its host (https://systemd.io/CONTAINER_INTERFACE). */
const CONTAINER = '/run/systemd/container';

/**
 * Gathers what is known about the clock.
 *
 * @param root the root of the host's file system
 */
export function lookAtClock(isSystemdRunning: boolean, root: string = ''): ClockFacts {
  const program = trySee('cio', () => statSync(process.argv[1] ?? '').mtimeMs);
  return {
    nowMs: Date.now(),
    ...(isSystemdRunning ? askTimedatectl(root) : { isSynchronized: askMark(root), setter: undefined }),
    programMs: 'value' in program ? program.value : undefined,
  };
}

function askTimedatectl(root: string): Pick<ClockFacts, 'isSynchronized' | 'setter'> {
  const answer = ask('timedatectl', ['show']);
  if ('unseen' in answer) return { isSynchronized: answer, setter: undefined };
  const properties = parseProperties(answer.value);
  const setter = properties.get('CanNTP') !== 'yes' ? 'absent' : properties.get('NTP') === 'yes' ? 'on' : 'off';
  return {
    isSynchronized: { value: properties.get('NTPSynchronized') === 'yes' },
    setter: existsSync(root + CONTAINER) ? undefined : setter,
  };
}

function askMark(root: string): Seen<boolean> {
  if (existsSync(root + TIMESYNC_MARK)) return { value: true };
  return { unseen: 'whether the clock is synchronized is not known without systemd' };
}
