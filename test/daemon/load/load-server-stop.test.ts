import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { PLAIN_WIRE } from '../../../daemon/load/wire.ts';
import { eventually } from '../../support/eventually.ts';
import { REFUSAL, readToEnd, serve } from './served-socket.ts';

/** How long a stopping server waits for peers that still read. */
const STOP_TIME_MAX_MS = 20_000;

describe('LoadServer', () => {
  it('refuses waiting peers even if its path cannot be removed any more', async (t) => {
    const served = await serve(t, PLAIN_WIRE, undefined, false);
    served.answer = { kind: 'waits' };
    const reading = served.ask();
    await eventually(() => served.server.waiting === 1);
    fs.rmSync(served.file);
    await served.server.stop();
    assert.deepEqual(await reading, REFUSAL);
  });

  it('refuses a waiting peer when it stops, and when the grant is revoked', async (t) => {
    const served = await serve(t);
    served.answer = { kind: 'waits' };
    const first = served.ask();
    await eventually(() => served.server.waiting === 1);
    served.answer = { kind: 'refused', reason: 'not_granted' };
    served.server.recheck();
    assert.deepEqual(await first, REFUSAL);
    served.answer = { kind: 'waits' };
    const second = served.ask();
    await eventually(() => served.server.waiting === 1);
    await served.server.stop();
    assert.deepEqual(await second, REFUSAL);
    assert.equal(served.manager.stored.size, 0);
  });

  it('waits for its last answer to be read to the end when it stops', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    const socket = served.connect();
    await new Promise((resolve) => socket.once('readable', resolve));
    const stopped = served.server.stop();
    assert.deepEqual(await readToEnd(socket), bytes);
    await stopped;
    assert.deepEqual([served.log, served.manager.stored.size], [[], 0]);
  });

  it('waits for all answers when it stops', async (t) => {
    const served = await serve(t);
    const sockets = [served.connect(), served.connect()] as const;
    for (const socket of sockets) await new Promise((resolve) => socket.once('readable', resolve));
    let isStopped = false;
    const stopped = served.server.stop().then(() => (isStopped = true));
    assert.deepEqual(await readToEnd(sockets[0]), REFUSAL);
    await eventually(() => served.manager.stored.size === 1);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isStopped, false);
    assert.deepEqual(await readToEnd(sockets[1]), REFUSAL);
    await stopped;
    assert.deepEqual(served.manager.stored.size, 0);
  });

  it('stops after a time limit, logs that, and cuts no answer off', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    const socket = served.connect();
    await new Promise((resolve) => socket.once('readable', resolve));
    t.mock.timers.enable({ apis: ['setInterval'] });
    let isStopped = false;
    const stopped = served.server.stop().then(() => (isStopped = true));
    t.mock.timers.tick(STOP_TIME_MAX_MS - 1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isStopped, false);
    t.mock.timers.tick(1);
    await stopped;
    assert.deepEqual(served.log, ['cio-credentiald: error: a unit did not read its answer to the end units=1\n']);
    assert.equal(served.manager.stored.size, 1);
    assert.deepEqual(await readToEnd(socket), bytes);
  });
});
