import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/eventually.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { processorWaitMs } from './processor-wait.ts';

const WAITED_MS = 100;

/** Starts a busy loop on the first processor that this process may use. */
function startBusy(t: TestContext): number {
  const allowed = readFileSync('/proc/self/status', 'latin1');
  const processor = /^Cpus_allowed_list:\s+(\d+)/m.exec(allowed)?.[1] ?? '0';
  const busy = spawn('/usr/bin/taskset', ['-c', processor, '/bin/sh', '-c', 'while :; do :; done'], {
    stdio: 'ignore',
  });
  t.after(() => void busy.kill('SIGKILL'));
  assert.ok(busy.pid !== undefined);
  return busy.pid;
}

/** A kernel without CONFIG_SCHED_INFO lacks this file, or has “0 0 0” in it for a process that has run. */
function schedulerStatistics(): string | undefined {
  const file = '/proc/self/schedstat';
  const isCounted = existsSync(file) && readFileSync(file, 'latin1').trim() !== '0 0 0';
  return isCounted ? undefined : 'a kernel that counts for how long a process waits (CONFIG_SCHED_INFO)';
}

describe('processorWaitMs()', { skip: skipUnless(command('taskset', 'util-linux'), schedulerStatistics) }, () => {
  it('grows while other processes have the processor', async (t) => {
    const pid = startBusy(t);
    startBusy(t);
    await eventually(() => processorWaitMs(pid) >= WAITED_MS);
  });

  it('does not grow while a process waits for anything else', async (t) => {
    const pid = startBusy(t);
    process.kill(pid, 'SIGSTOP');
    await eventually(() => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
    const before = processorWaitMs(pid);
    await sleep(WAITED_MS);
    assert.equal(processorWaitMs(pid), before);
  });

  it('is 0 for a process that has ended', () => {
    assert.equal(processorWaitMs(2 ** 30), 0);
  });
});
