import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { runChild } from '../../../../client/cio/exec/run-child.ts';
import { run } from '../../../support/process.ts';
import { skipUnless } from '../../../support/requirements.ts';
import { quoted, TERMINAL, TerminalProgram } from '../../terminal.ts';

const MODULE = path.join(import.meta.dirname, '..', '..', '..', '..', 'client', 'cio', 'exec', 'run-child.ts');

/** Longer than a shell takes to say something. */
const LATE_MS = 300;

/** A program that is slow to go on from the start of its command, as on a machine that has others to serve. */
const PROGRAM = `
  import childProcess from 'node:child_process';
  import { syncBuiltinESMExports } from 'node:module';
  const { spawn } = childProcess;
  childProcess.spawn = (...given) => {
    const child = spawn(...given);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${LATE_MS});
    return child;
  };
  syncBuiltinESMExports();
  const { endAs, runChild } = await import(${JSON.stringify(MODULE)});
  process.exitCode = endAs(await runChild(['/bin/sh', '-c', process.argv[1]], process.env, { stdio: 'inherit' }));`;

const NODE = [process.execPath, '--input-type=module', '--eval', PROGRAM, '--'];

describe('runChild()', () => {
  for (const signal of ['TERM', 'HUP', 'INT', 'QUIT', 'USR1', 'USR2']) {
    it(`passes on a SIG${signal} that comes as soon as the command runs`, async () => {
      const script = `trap 'exit 9' ${signal}; kill -${signal} $PPID; while kill -0 $PPID; do sleep 0.05; done`;
      // Without a terminal, whose keys would reach both.
      const exit = await run(['/usr/bin/setsid', '--wait', ...NODE, script]);
      assert.deepEqual([exit.code, exit.signal], [9, null], exit.stderr);
    });
  }

  it('leaves the keys of a terminal to it, which tells the command, too', { skip: skipUnless(TERMINAL) }, async (t) => {
    // A second signal would come while it sleeps.
    const wait = 'until [ -n "$told" ]; do sleep 0.05; done; sleep 0.5; echo "told $told"';
    for (const [key, signal] of [
      ['\u0003', 'INT'],
      ['\u001c', 'QUIT'],
    ] as const) {
      const script = `trap 'told=x$told' ${signal}; echo ready; ${wait}`;
      const program = new TerminalProgram(t, `exec ${[...NODE, script].map(quoted).join(' ')}`);
      await program.shows('ready');
      program.type(key);
      assert.equal(await program.exit(), 0, program.screen);
      assert.match(program.screen, /told x\r\n$/);
    }
  });

  it('says what the system says where the command cannot be executed', async () => {
    await assert.rejects(runChild(['/nonexistent/command'], {}, { stdio: 'inherit' }), {
      code: 'CommandNotExecutable',
      message: 'the command cannot be executed: ENOENT',
    });
  });

  it('says what is too large for the system', async () => {
    const environment = { LARGE: 'x'.repeat(200_000) };
    await assert.rejects(runChild(['/bin/true'], environment, { stdio: 'inherit' }), {
      code: 'CommandNotExecutable',
      message: 'the variable LARGE is too large for a command',
    });
  });
});

describe('endAs()', () => {
  for (const signal of ['TERM', 'HUP', 'INT', 'KILL', 'USR2', 'ALRM']) {
    it(`ends by SIG${signal} where the command did`, async () => {
      const exit = await run([...NODE, `kill -${signal} $$`]);
      assert.deepEqual([exit.code, exit.signal], [null, `SIG${signal}`], exit.stderr);
    });
  }

  it('gives the exit code, and that of a shell for a signal by which this process does not end', async () => {
    for (const [script, code] of [
      ['exit 42', 42],
      ['kill -USR1 $$', 138],
      ['kill -PIPE $$', 141],
      ['ulimit -c 0; kill -SEGV $$', 139],
      ['ulimit -c 0; kill -QUIT $$', 131],
    ] as const) {
      const exit = await run([...NODE, script]);
      assert.deepEqual([exit.code, exit.signal], [code, null], script);
    }
  });
});
