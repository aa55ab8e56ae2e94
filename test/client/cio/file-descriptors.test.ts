import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { CommandError } from '../../../client/cio/command-error.ts';
import { readBounded, readLine } from '../../../client/cio/file-descriptors.ts';

describe('readBounded() and readLine()', () => {
  it('throw where a file cannot be read to its end, rather than return half a secret', (t) => {
    // Address 0 is not mapped, so reading it fails with EIO (proc_pid_mem(5)).
    const file = fs.openSync('/proc/self/mem', 'r');
    t.after(() => fs.closeSync(file));
    for (const read of [readBounded, readLine]) {
      assert.throws(
        () => read(file, 10, 'the file'),
        (error) => error instanceof CommandError && error.message.startsWith('cannot read the file: EIO'),
      );
    }
  });
});
