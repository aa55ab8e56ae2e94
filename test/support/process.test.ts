import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run, Service } from './process.ts';

/** A child that outlives its shell and keeps the shell's outputs open until this process ends. */
const LEAVES_ONE_BEHIND = `tail --pid=${process.pid} -f /dev/null & echo started; wait`;

describe('run()', () => {
  it('does not wait for processes that a killed command left behind', async () => {
    const running = run(['/bin/sh', '-c', LEAVES_ONE_BEHIND], { timeoutMs: 100 });
    await assert.rejects(running, /still running after 100 ms/);
  });
});

describe('Service', () => {
  it('does not wait for processes that it left behind', async () => {
    const cleanUps: (() => void | Promise<void>)[] = [];
    const scope = { after: (cleanUp: () => void | Promise<void>) => void cleanUps.push(cleanUp) };
    const service = new Service(scope, ['/bin/sh', '-c', LEAVES_ONE_BEHIND]);
    await service.printed('started');
    for (const cleanUp of cleanUps) await cleanUp();
    assert.equal(service.exit?.signal, 'SIGKILL');
    assert.deepEqual(await service.stop(), service.exit);
  });
});
