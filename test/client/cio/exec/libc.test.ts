import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run } from '../../../support/process.ts';
import { skipUnless, tracer } from '../../../support/requirements.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const FOLDER = path.join(import.meta.dirname, '..', '..', '..', '..', 'client', 'cio', 'exec');

/** Writes in an `exit` listener, and ends with the exit code that the listener set. */
const ENDING = `
  process.on('exit', () => {
    fs.writeSync(1, 'told');
    process.exitCode = 7;
  });
  process.exit();`;

describe('libc', { skip: skipUnless(tracer) }, () => {
  it('lets a process end even if fsync of its standard output fails', async (t) => {
    const folder = temporaryDirectory(t);
    const output = path.join(folder, 'output');
    const uses = [
      `const { openPseudoTerminal } = await import('${path.join(FOLDER, 'pseudo-terminal.ts')}'); openPseudoTerminal();`,
      `const { makeMemoryFile } = await import('${path.join(FOLDER, 'memory-file.ts')}'); makeMemoryFile('secret');`,
    ];
    for (const use of uses) {
      const strace = ['strace', '-f', '-qq', '-o', '/dev/null', '--trace=fsync', '--inject=fsync:error=EIO'];
      const node = [process.execPath, '--input-type=module', '--eval', `import fs from 'node:fs'; ${use} ${ENDING}`];
      const line = ['sh', '-c', 'out=$1; shift; exec "$@" > "$out"', 'sh', output, ...strace, ...node];
      const { code, stderr } = await run(line, { timeoutMs: 20_000 });
      assert.equal(code, 7, stderr);
      assert.equal(fs.readFileSync(output, 'utf8'), 'told');
    }
  });
});
