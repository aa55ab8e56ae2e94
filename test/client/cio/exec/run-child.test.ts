import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run } from '../../../support/process.ts';

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
  const { runChild } = await import(${JSON.stringify(MODULE)});
  const { code } = await runChild(['/bin/sh', '-c', process.argv[1]], process.env, { stdio: 'inherit' });
  process.exitCode = code;`;

describe('runChild()', () => {
  for (const signal of ['TERM', 'HUP', 'INT']) {
    it(`passes on a SIG${signal} that comes as soon as the command runs`, async () => {
      const script = `trap 'exit 9' ${signal}; kill -${signal} $PPID; while kill -0 $PPID; do sleep 0.05; done`;
      const node = [process.execPath, '--input-type=module', '--eval', PROGRAM, '--', script];
      // Without a terminal, whose keys would reach both.
      const exit = await run(['/usr/bin/setsid', '--wait', ...node]);
      assert.deepEqual([exit.code, exit.signal], [9, null], exit.stderr);
    });
  }
});
