import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { skipUnless } from '../../../support/requirements.ts';
import type { Scope } from '../../../support/scope.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { quoted, TERMINAL, TerminalProgram } from '../../terminal.ts';

const MODULE = path.join(import.meta.dirname, '..', '..', '..', '..', 'client', 'cio', 'exec', 'run-masked.ts');

/** Longer than any wait of the program, in ms. */
const LATE_MS = 300;

/**
 * Runs a command masked, and pauses after each read of its output, as if it had been stopped or its terminal were slow.
 * Given a file, it creates the file at the first read and waits until the file is gone.
 */
const PROGRAM = `
  import { existsSync, writeFileSync } from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  import tty from 'node:tty';
  const [script, file] = process.argv.slice(1);
  let reads = 0;
  const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  tty.ReadStream = class extends tty.ReadStream {
    constructor(descriptor) {
      super(descriptor);
      this.on('data', () => process.nextTick(() => {
        if (file !== undefined && reads++ === 0) writeFileSync(file, '');
        while (file !== undefined && existsSync(file)) pause(5);
        pause(${LATE_MS});
      }));
    }
  };
  syncBuiltinESMExports();
  const { runMasked } = await import(${JSON.stringify(MODULE)});
  const { code } = await runMasked(['/bin/sh', '-c', script], process.env, new Set(['a-secret']));
  process.exitCode = code;`;

function start(scope: Scope, ...words: readonly string[]): TerminalProgram {
  const node = [process.execPath, '--input-type=module', '--eval', PROGRAM, '--', ...words];
  // Standard input is not the terminal, so that only the command's output is read from one.
  return new TerminalProgram(scope, `${node.map(quoted).join(' ')} < /dev/null`);
}

describe('runMasked()', { skip: skipUnless(TERMINAL) }, () => {
  it('masks a secret that is complete in the terminal, however late this process reads the rest of it', async (t) => {
    const file = path.join(temporaryDirectory(t), 'begin');
    const script = `printf 'a a-sec'; until [ -e ${file} ]; do sleep 0.01; done; printf 'ret.'; rm ${file}; sleep 1`;
    const program = start(t, script, file);
    assert.equal(await program.exit(), 0);
    assert.equal(program.screen, 'a <masked>.');
  });

  it('shows everything that a command has written, however slowly the terminal accepts it', async (t) => {
    const program = start(t, 'seq 4000; exit 7');
    assert.equal(await program.exit(), 7);
    assert.equal(program.screen, Array.from({ length: 4000 }, (_, index) => `${index + 1}\r\n`).join(''));
  });
});
