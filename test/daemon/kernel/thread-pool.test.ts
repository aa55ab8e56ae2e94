import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSuccessfully } from '../../support/process.ts';

/** Counts the threads of a new process at its start, after the call, and after a key was derived. */
const COUNT = `
const { readdirSync } = await import('node:fs');
const { scrypt } = await import('node:crypto');
const { startThreadPool } = await import(process.argv[1]);
const count = () => readdirSync('/proc/self/task').length;
const counts = [count()];
await startThreadPool();
counts.push(count());
await new Promise((resolve) => scrypt('passphrase', 'salt', 32, resolve));
counts.push(count());
process.stdout.write(JSON.stringify(counts));
`;

describe('startThreadPool()', () => {
  it('leaves no thread to be started by the first key derivation', async () => {
    const module = new URL('../../../daemon/kernel/thread-pool.ts', import.meta.url).href;
    const counts = await runSuccessfully([process.execPath, '--input-type=module', '-e', COUNT, module]);
    const [before = 0, started, afterwards] = JSON.parse(counts) as number[];
    assert.equal(started, before + 4);
    assert.equal(afterwards, started);
  });
});
