import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run, Service } from './process.ts';

/** A child that outlives its shell, and holds its outputs open for as long as this process lives. */
const LEAVES_ONE_BEHIND = `tail --pid=${process.pid} -f /dev/null & echo started; wait`;

describe('run()', () => {
  it('waits for nobody whom a command that it had to kill left behind', async () => {
    const running = run(['/bin/sh', '-c', LEAVES_ONE_BEHIND], { timeoutMs: 100 });
    await assert.rejects(running, /still running after 100 ms/);
  });
});

describe('Service', () => {
  it('waits for nobody whom it leaves behind', async () => {
    const cleanUps: (() => void | Promise<void>)[] = [];
    const scope = { after: (cleanUp: () => void | Promise<void>) => void cleanUps.push(cleanUp) };
    const service = new Service(scope, ['/bin/sh', '-c', LEAVES_ONE_BEHIND]);
    await service.printed('started');
    for (const cleanUp of cleanUps) await cleanUp();
    assert.equal(service.exit?.signal, 'SIGKILL');
    assert.deepEqual(await service.stop(), service.exit);
  });
});
