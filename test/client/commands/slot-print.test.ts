import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants, hostname } from 'node:os';
import { after, describe, it } from 'node:test';
import { COMMAND_EXIT } from '../../../client/cio/command-error.ts';
import { TERMINATION_SIGNALS } from '../../../client/cio/on-termination.ts';
import { EXIT } from '../../../src/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { run, Service } from '../../support/process.ts';
import { quoted } from '../terminal.ts';
import { GONE, Harness, UNTOLD } from './harness.ts';

const harness = await Harness.start({ after });

/** Tells whether a process catches a signal (`SigCgt` in proc_pid_status(5)). */
function catches(pid: number, signal: number): boolean {
  const [, mask = ''] = /^SigCgt:\t([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

async function count(): Promise<number> {
  return ((await harness.json(['slot', 'list'])) as { slots: unknown[] }).slots.length;
}

describe('cio credential slot add recovery --print', () => {
  it('prints a page with a code that opens the store', async () => {
    const { code, stdout, stderr } = await harness.run(['slot', 'add', 'recovery', '--print']);
    assert.equal(code, EXIT.done, stderr);
    const recoveryCode = /^ {4}([0-9A-Z]{6}(?:-[0-9A-Z]{6}){5})$/m.exec(stdout)?.[1] ?? assert.fail(stdout);
    const status = (await harness.json(['status'])) as { storeId: string };
    for (const text of [hostname(), status.storeId, '█']) assert.ok(stdout.includes(text), text);
    assert.ok(!stdout.includes('\u001b'), 'paper has no colours');
    assert.ok(!stderr.includes(recoveryCode));
    await harness.succeed(['lock']);
    await harness.succeed(['unlock', '--recovery'], { stdin: `${recoveryCode}\n` });
  });

  it('leaves no slot behind if the code could not be shown', async () => {
    const before = await count();
    for (const words of [[], ['--print'], ['--json']]) {
      const line = [...harness.built, 'credential', 'slot', 'add', 'recovery', ...words].map(quoted).join(' ');
      for (const [where, reason] of [
        [GONE, /has gone; the slot was removed again/],
        ['exec > /dev/full', /the disk is full \(ENOSPC\); the slot was removed again/],
        ['exec > /dev/null', /nobody would see the code: standard output is closed, or \/dev\/null\n/],
        ['exec >&-', /nobody would see the code: standard output is closed, or \/dev\/null\n/],
      ] as const) {
        const script = `${where}; ${line}; echo "exit $?" >&2`;
        const { stderr } = await run(['/bin/bash', '--norc', '-c', script], { env: harness.environment });
        assert.match(stderr, /exit 1\n/);
        if (!words.includes('--json')) assert.match(stderr, reason);
      }
    }
    assert.equal(await count(), before);
  });

  it('leaves no slot behind if it is interrupted before there is a code', async (t) => {
    const before = await count();
    for (const signal of TERMINATION_SIGNALS) {
      harness.daemon.service.signal('SIGSTOP');
      const words = ['credential', 'slot', 'add', 'recovery'];
      const adding = new Service(t, [...harness.built, ...words], { env: harness.environment });
      // Node catches some of these signals from its start. The command catches SIGQUIT only from its call on, so that
      // mask tells when it is ready.
      await eventually(() => catches(adding.pid, constants.signals.SIGQUIT));
      adding.signal(signal);
      await eventually(() => !catches(adding.pid, constants.signals[signal]));
      harness.daemon.service.signal('SIGCONT');
      assert.deepEqual(await adding.exited, { code: COMMAND_EXIT.interrupted, signal: null });
      assert.equal(adding.output, 'Failed: Add slot: interrupted; the slot was removed again\n');
    }
    assert.equal(await count(), before);
  });

  it('is ended at once by a second signal', async (t) => {
    harness.daemon.service.signal('SIGSTOP');
    try {
      const words = ['credential', 'slot', 'add', 'recovery'];
      const adding = new Service(t, [...harness.built, ...words], { env: harness.environment });
      await eventually(() => catches(adding.pid, constants.signals.SIGQUIT));
      adding.signal('SIGQUIT');
      await eventually(() => !catches(adding.pid, constants.signals.SIGQUIT));
      adding.signal('SIGQUIT');
      assert.deepEqual(await adding.exited, { code: null, signal: 'SIGQUIT' });
    } finally {
      harness.daemon.service.signal('SIGCONT');
    }
  });

  it('prints the code though its report cannot be written', async () => {
    for (const untold of UNTOLD) {
      const before = await count();
      const { code, stdout } = await harness.runAfter(untold, ['slot', 'add', 'recovery']);
      assert.equal(code, EXIT.done);
      assert.match(stdout, /^[0-9A-Z]{6}(?:-[0-9A-Z]{6}){5}\n$/);
      assert.equal(await count(), before + 1);
    }
  });

  it('is refused for slots without a code, before a slot is made', async () => {
    const before = await count();
    await harness.fail(EXIT.usage, ['slot', 'add', 'passphrase', '--print'], { stdin: 'x\n' });
    assert.equal((await harness.run(['slot', 'add', 'recovery', '--print', '--json'])).code, EXIT.usage);
    assert.equal(await count(), before);
  });
});
