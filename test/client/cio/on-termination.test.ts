import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { ALL_TERMINATION_SIGNALS } from '../../../client/cio/on-termination.ts';
import { run } from '../../support/process.ts';

const MODULE = path.join(import.meta.dirname, '..', '..', '..', 'client', 'cio', 'on-termination.ts');

/** Runs a process that executes `body` and then sends the signal to itself. */
function end(signal: NodeJS.Signals, body: string): ReturnType<typeof run> {
  const script = `import { onTermination } from ${JSON.stringify(MODULE)}; ${body}; process.kill(process.pid, '${signal}'); setTimeout(() => process.exit(7), 60_000);`;
  return run([process.execPath, '--input-type=module', '--eval', script]);
}

describe('onTermination()', () => {
  for (const signal of ALL_TERMINATION_SIGNALS) {
    it(`runs every listener before ${signal} ends the process`, async () => {
      const both = "for (const word of ['one', 'two']) onTermination(() => process.stderr.write(word))";
      const exit = await end(signal, both);
      assert.deepEqual([exit.signal, exit.stderr], [signal, 'onetwo']);
    });
  }

  it('runs nothing once disposed of, nor for other signals than those given', async () => {
    const disposed = "onTermination(() => process.stderr.write('no'))[Symbol.dispose]()";
    const other = "onTermination(() => process.stderr.write('no'), ['SIGHUP'])";
    for (const body of [disposed, other]) {
      const exit = await end('SIGTERM', body);
      assert.deepEqual([exit.signal, exit.stderr], ['SIGTERM', '']);
    }
  });
});
