import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { runChild } from '../../../../client/cio/exec/run-child.ts';
import { run } from '../../../support/process.ts';
import { skipUnless } from '../../../support/requirements.ts';
import { quoted, TERMINAL, TerminalProgram } from '../../terminal.ts';

const MODULE = path.join(import.meta.dirname, '..', '..', '..', '..', 'client', 'cio', 'exec', 'run-child.ts');

/** Longer than a shell takes to send a signal, in ms. */
const LATE_MS = 300;

/** Runs a command, and continues only some time after it has been spawned, as on a busy machine. */
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
    it(`passes on a SIG${signal} that arrives as soon as the command runs`, async () => {
      const script = `trap 'exit 9' ${signal}; kill -${signal} $PPID; while kill -0 $PPID; do sleep 0.05; done`;
      // In a session without a terminal, so that the signal reaches this process only.
      const exit = await run(['/usr/bin/setsid', '--wait', ...NODE, script]);
      assert.deepEqual([exit.code, exit.signal], [9, null], exit.stderr);
    });
  }

  it(
    'leaves Ctrl-C and Ctrl-\\ to the terminal, which signals the command itself',
    { skip: skipUnless(TERMINAL) },
    async (t) => {
      // The script would see a second signal during its sleep.
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
    },
  );

  it('reports the error of execve', async () => {
    await assert.rejects(runChild(['/nonexistent/command'], {}, { stdio: 'inherit' }), {
      code: 'CommandNotExecutable',
      message: 'the command cannot be executed: ENOENT',
    });
  });

  it('names the variable that is too large for a command', async () => {
    const environment = { LARGE: 'x'.repeat(200_000) };
    await assert.rejects(runChild(['/bin/true'], environment, { stdio: 'inherit' }), {
      code: 'CommandNotExecutable',
      message: 'the variable LARGE is too large for a command',
    });
  });
});

describe('endAs()', () => {
  for (const signal of ['TERM', 'HUP', 'INT', 'KILL', 'USR2', 'ALRM']) {
    it(`ends by SIG${signal} if the command did`, async () => {
      const exit = await run([...NODE, `kill -${signal} $$`]);
      assert.deepEqual([exit.code, exit.signal], [null, `SIG${signal}`], exit.stderr);
    });
  }

  it("returns the command's exit code, or 128 plus the number of a signal that this process does not end by", async () => {
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
