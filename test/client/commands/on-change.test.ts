import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from '../../../src/errors.ts';
import { startDaemon } from '../../support/daemon.ts';
import { Service } from '../../support/process.ts';
import { skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

/** Sleeps briefly, so that traps run in time, and ends with its parent if a test fails half-way. */
const LOOP = 'while kill -0 $PPID; do sleep 0.05; done';

/** Prints the password and SIGHUPs, and exits with 7 on SIGTERM. */
const TALKATIVE = `trap 'echo ended; exit 7' TERM; trap 'echo HUP' HUP; echo "with $RESTIC_PASSWORD"; ${LOOP}`;

/** Less than the time for which a changed set is left to settle, in ms. */
const SETTLED_MS = 900;

function supervised(scope: Scope, set: string, action: string, script = TALKATIVE, h = harness): Service {
  const words = ['credential', 'exec', set, '--on-change', action, '--', 'bash', '-c', script];
  return new Service(scope, [...h.built, ...words], { env: h.environment });
}

/** Ends the command through its supervisor, as a killed supervisor would leave the command running. */
async function end(service: Service): Promise<void> {
  service.signal('SIGTERM');
  assert.deepEqual(await service.exited, { code: 7, signal: null });
}

/**
 * Stops the supervisor while `change` runs, so that it sees all changes at once. Returns the time of its continuation.
 */
async function tellAtOnce(service: Service, change: () => Promise<void>): Promise<number> {
  service.signal('SIGSTOP');
  await change();
  const told = performance.now();
  service.signal('SIGCONT');
  return told;
}

function count(service: Service, text: string): number {
  return service.output.split(text).length - 1;
}

/** Types Ctrl-C on a terminal while a command, whose script prints "running", is about to be restarted. */
async function interruptRestart(
  scope: Scope,
  set: string,
  words: readonly string[],
  script: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<TerminalProgram> {
  const command = ['credential', 'exec', set, '--on-change', 'restart', ...words, '--', 'sh', '-c', script];
  const line = `exec ${[...harness.built, ...command].map(quoted).join(' ')}`;
  const program = new TerminalProgram(scope, line, { ...harness.environment, ...environment });
  await program.shows('running');
  await harness.store('second', `cio_${set}_backup_password`);
  await program.shows('is restarted.');
  program.type('\u0003');
  return program;
}

/** A module that has Node report a SIGINT only after the end of the command, as it does now and then. */
const LATE_SIGINT = `
const { ChildProcess } = require('node:child_process');
const { emit } = process;
let late;
process.emit = (event, ...args) => {
  if (event !== 'SIGINT') return emit.call(process, event, ...args);
  late = () => emit.call(process, event, ...args);
  return true;
};
const childEmit = ChildProcess.prototype.emit;
ChildProcess.prototype.emit = function (event, ...args) {
  const isHeard = childEmit.call(this, event, ...args);
  if (event === 'exit' && late !== undefined) setImmediate(late);
  return isHeard;
};`;

describe('cio credential exec --on-change', () => {
  it('restarts the command with the new values, once for several changes, and passes SIGTERM on', async (t) => {
    const set = await harness.storeSet({ backup_password: 'first' });
    const service = supervised(t, set, 'restart');
    await service.printed('with first\n');
    const told = await tellAtOnce(service, async () => {
      await harness.store('second', `cio_${set}_backup_password`);
      await harness.store('third', `cio_${set}_backup_password`);
    });
    await service.printed('with third\n');
    assert.ok(performance.now() - told > SETTLED_MS);
    assert.match(service.output, /The set has changed: the command is restarted\.\n/);
    assert.deepEqual([count(service, 'ended\n'), count(service, 'with second')], [1, 0]);
    await end(service);
    assert.equal(count(service, 'with '), 2);
  });

  it('closes the memory files of the previous command, and no descriptor that a value merely names', async (t) => {
    const set = await harness.storeSet({ backup_password: '/dev/fd/1', secret_key: 'first' });
    const script = `cat "$K"; ls -l /proc/self/fd | grep -c memfd; ${TALKATIVE}`;
    const words = ['credential', 'exec', set, '--file', 'K=secret_key', '--on-change', 'restart'];
    const service = new Service(t, [...harness.built, ...words, '--', 'bash', '-c', script], {
      env: harness.environment,
    });
    await service.printed('first1\nwith /dev/fd/1\n');
    await harness.store('second', `cio_${set}_secret_key`);
    await service.printed('second1\nwith /dev/fd/1\n');
    await end(service);
  });

  it('sends the signal instead, and leaves the command running', async (t) => {
    const set = await harness.storeSet({ backup_password: 'first' });
    const service = supervised(t, set, 'SIGHUP');
    await service.printed('with first\n');
    await harness.store('second', `cio_${set}_backup_password`);
    await service.printed('HUP\n');
    await end(service);
    assert.equal(count(service, 'with '), 1);
  });

  it('leaves the command running while the set is incomplete, and restarts it once the set is complete', async (t) => {
    const set = await harness.storeSet({ backup_password: 'first' });
    const service = supervised(t, set, 'restart');
    await service.printed('with first\n');
    await harness.succeed(['remove', `cio_${set}_access_key`, '-y']);
    await pause(1500);
    assert.equal(count(service, 'ended'), 0);
    await harness.store('AK2', `cio_${set}_access_key`);
    await service.printed('ended\nwith first\n');
    await end(service);
  });

  it('kills a command that does not end', async (t) => {
    const set = await harness.storeSet({ backup_password: 'first' });
    const service = supervised(
      t,
      set,
      'restart',
      `trap '' TERM; echo with $RESTIC_PASSWORD; [ $RESTIC_PASSWORD = first ] || exit 7; ${LOOP}`,
    );
    await service.printed('with first\n');
    await harness.store('second', `cio_${set}_backup_password`);
    await service.printed('with second\n');
    assert.deepEqual(await service.exited, { code: 7, signal: null });
  });

  it('does not restart a command that Ctrl-C ends', { skip: skipUnless(TERMINAL) }, async (t) => {
    for (const words of [[], ['--no-masking']]) {
      const set = await harness.storeSet({ backup_password: 'first' });
      const script = `trap '' TERM; trap 'exit 7' INT; [ $RESTIC_PASSWORD = first ] || exit 8; echo running; ${LOOP}`;
      const program = await interruptRestart(t, set, words, script);
      assert.equal(await program.exit(), 7);
    }
  });

  it(
    'does not restart a command that Ctrl-C ends, even if its end is reported before the signal',
    { skip: skipUnless(TERMINAL) },
    async (t) => {
      const set = await harness.storeSet({ backup_password: 'first' });
      const module = path.join(temporaryDirectory(t), 'late-sigint.cjs');
      fs.writeFileSync(module, LATE_SIGINT);
      const script = `trap '' TERM; trap 'exit 7' INT; [ $RESTIC_PASSWORD = first ] || exit 8; echo running; ${LOOP}`;
      const environment = { NODE_OPTIONS: `--require=${module}` };
      const program = await interruptRestart(t, set, ['--no-masking'], script, environment);
      assert.equal(await program.exit(), 7);
    },
  );

  it('restarts a command that reads Ctrl-C as an ordinary key', { skip: skipUnless(TERMINAL) }, async (t) => {
    for (const words of [[], ['--no-masking']]) {
      const set = await harness.storeSet({ backup_password: 'first' });
      const script = `[ $RESTIC_PASSWORD = first ] || exit 7; trap '' TERM; stty -isig -icanon; echo running; head -c 1; exit 8`;
      const program = await interruptRestart(t, set, words, script);
      assert.equal(await program.exit(), 7, program.screen);
    }
  });

  it('exits as the command does', async () => {
    const set = await harness.storeSet();
    const words = ['exec', set, '--on-change', 'restart', '--', 'sh', '-c'];
    assert.equal((await harness.run([...words, 'exit 42'])).code, 42);
    assert.equal((await harness.run([...words, 'kill -KILL $$'])).signal, 'SIGKILL');
  });

  it('keeps the command running without the daemon or with a locked store, and misses no change', async (t) => {
    const own = await Harness.start(t);
    const set = await own.storeSet({ backup_password: 'first' });
    const service = supervised(t, set, 'restart', TALKATIVE, own);
    await service.printed('with first\n');
    await own.daemon.stop();
    await service.printed('the command keeps running');
    const { stateDirectory, runtimeDirectory } = own.daemon;
    await startDaemon(t, { stateDirectory, runtimeDirectory });
    await own.store('second', `cio_${set}_backup_password`);
    await service.printed('with second\n');
    // The change is announced, and the store locked before the values are read.
    await tellAtOnce(service, async () => {
      await own.store('third', `cio_${set}_backup_password`);
      await own.succeed(['lock']);
    });
    await service.printed('The command is left as it is for now: ');
    await own.succeed(['unlock']);
    await service.printed('with third\n');
    await end(service);
    assert.equal(count(service, 'left as it is'), 1);
  });

  it('refuses an unknown action and an unknown set before it starts anything', async () => {
    const set = await harness.storeSet();
    assert.match(
      await harness.fail(EXIT.usage, ['exec', set, '--on-change', 'SIGKILL', '--', 'true']),
      /--on-change is one of restart, SIGHUP/,
    );
    await harness.fail(EXIT.usage, ['exec', set, '--on-change', 'restart', '--server', '--', 'true']);
    await harness.fail(EXIT.notFound, ['exec', 'no-such-set', '--on-change', 'restart', '--', 'echo', 'started']);
  });
});
