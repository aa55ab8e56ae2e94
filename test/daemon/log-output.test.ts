import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { describe, it } from 'node:test';

const ROOT = new URL('../../', import.meta.url).href;
const TIMEOUT = { timeout: 60_000 };

/** Writes far more lines than fit into a pipe, and then to the other output. */
const WRITE = `
const { LogOutput } = await import(process.argv[1] + 'daemon/log-output.ts');
const { waitUntilWritable } = await import(process.argv[1] + 'daemon/kernel/libc.ts');
const output = new LogOutput();
if (process.argv[2] === 'drops') output.dropInsteadOfBlocking((fd) => waitUntilWritable(fd, 0));
for (let line = 0; line < 50_000; line += 1) output.write('a line of the log, as long as they are: ' + line + '\\n');
process.stdout.write('serves on');
`;

/** Returns the standard output of this process. */
async function saysWith(stderr: number | 'pipe', how: 'drops' | 'writes'): Promise<string> {
  const words = ['--input-type=module', '-e', WRITE, ROOT, how];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', stderr], timeout: TIMEOUT.timeout });
  let said = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  // Nobody reads its standard error if that is a pipe.
  await once(child.stdout ?? child, 'end');
  child.stderr?.destroy();
  return said;
}

describe('LogOutput', () => {
  it('does not wait for a reader that has stopped reading', TIMEOUT, async () => {
    assert.equal(await saysWith('pipe', 'drops'), 'serves on');
  });

  it('does not fail on a full disk', TIMEOUT, async () => {
    const full = openSync('/dev/full', 'w');
    try {
      for (const how of ['drops', 'writes'] as const) assert.equal(await saysWith(full, how), 'serves on');
    } finally {
      closeSync(full);
    }
  });
});
