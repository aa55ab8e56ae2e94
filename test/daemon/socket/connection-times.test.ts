import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { Reply } from '../../../daemon/dispatch.ts';
import { MESSAGE_TIME_MAX_MS } from '../../../daemon/socket/limits.ts';
import { eventually } from '../../support/eventually.ts';
import {
  BUSY,
  CREATE,
  ManualDispatch,
  ManualScheduler,
  connectPair,
  echo,
  messages,
  receiveAll,
  settle,
} from './pair.ts';
import type { Pair } from './pair.ts';

describe('Connection: time-outs', () => {
  it('ends a message that takes too long with TimedOut, and not before', async (t) => {
    const pair = await connectPair(t, echo);
    pair.client.send('{"half":');
    await eventually(() => pair.held.now > 0);
    const since = performance.now();
    pair.connection.checkTimes(since + MESSAGE_TIME_MAX_MS - 1000);
    assert.equal(pair.connection.isEnding, false);
    pair.connection.checkTimes(since + MESSAGE_TIME_MAX_MS + 1);
    const timedOut = { error: 'io.cio.Credentials.TimedOut', parameters: {} };
    assert.deepEqual(await receiveAll(pair.client), [timedOut]);
    await pair.closed;
    assert.equal(pair.held.now, 0);
  });

  it('counts from the first byte of a message, not from the last', async (t) => {
    const pair = await connectPair(t, echo);
    pair.client.send('{');
    await eventually(() => pair.held.now === 1);
    const since = performance.now();
    pair.client.send(' ');
    await eventually(() => pair.held.now === 2);
    pair.connection.checkTimes(since + MESSAGE_TIME_MAX_MS + 1);
    assert.equal(pair.connection.isEnding, true);
  });

  it('starts counting again with every message', async (t) => {
    const pair = await connectPair(t, echo);
    pair.client.send('{"x":');
    await eventually(() => pair.held.now > 0);
    const first = performance.now();
    await eventually(() => performance.now() > first + 5);
    pair.client.send('1}\0{"x":');
    await pair.client.receive();
    pair.connection.checkTimes(first + MESSAGE_TIME_MAX_MS + 1);
    assert.equal(pair.connection.isEnding, false);
  });

  it('leaves a silent connection open, however long', async (t) => {
    const pair = await connectPair(t, echo);
    pair.connection.checkTimes(performance.now() + 1e9);
    pair.client.send({ index: 1 });
    assert.deepEqual(await pair.client.receive(), { parameters: { index: 1 } });
    pair.connection.checkTimes(performance.now() + 1e9);
    assert.equal(pair.connection.isIdle, true);
    pair.client.send({ index: 2 });
    assert.deepEqual(await pair.client.receive(), { parameters: { index: 2 } });
  });

  it('does not count the time that a message waits for its turn', async (t) => {
    const scheduler = new ManualScheduler();
    const pair = await connectPair(t, echo, scheduler);
    pair.client.send('{"x":');
    await eventually(() => pair.held.now > 0);
    scheduler.isTime = false;
    pair.client.send('[');
    await eventually(() => scheduler.jobs.length === 1);
    const clock = performance.now.bind(performance);
    let aheadMs = 0;
    t.mock.method(performance, 'now', () => clock() + aheadMs);
    const pass = (ms: number): void => {
      aheadMs += ms;
      pair.connection.checkTimes(performance.now());
    };
    pass(2 * MESSAGE_TIME_MAX_MS);
    assert.equal(pair.connection.isEnding, false);
    scheduler.begin();
    pass(MESSAGE_TIME_MAX_MS / 2);
    assert.equal(pair.connection.isEnding, false);
    pass(MESSAGE_TIME_MAX_MS / 2);
    assert.equal(pair.connection.isEnding, true);
  });

  it('answers the calls before it sends TimedOut', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    pair.client.send(`${messages({ method: CREATE })}{"half":`);
    await eventually(() => manual.begun.length === 1 && pair.held.now > 0);
    pair.connection.checkTimes(performance.now() + MESSAGE_TIME_MAX_MS + 1);
    await settle(pair);
    manual.answer(0);
    assert.deepEqual(await receiveAll(pair.client), [
      { parameters: { index: 0 } },
      { error: 'io.cio.Credentials.TimedOut', parameters: {} },
    ]);
  });
});

describe('Connection: waiting for its turn', () => {
  const twice = messages({ index: 0 }, { index: 1 });
  const answers = [0, 1].map((index) => ({ parameters: { index } }));

  async function waiting(t: TestContext): Promise<Pair & { scheduler: ManualScheduler; begun: unknown[] }> {
    const scheduler = new ManualScheduler();
    const begun: unknown[] = [];
    const pair = await connectPair(
      t,
      (_caller, message) => {
        begun.push(message);
        return { parameters: message as object };
      },
      scheduler,
    );
    scheduler.isTime = false;
    pair.client.send(twice);
    await eventually(() => scheduler.jobs.length === 1);
    return { ...pair, scheduler, begun };
  }

  it('begins the calls for which there is time, and no more', async (t) => {
    const scheduler = new ManualScheduler();
    const begun: unknown[] = [];
    const dispatch = (_caller: unknown, message: unknown): Reply => {
      begun.push(message);
      return { parameters: message as object };
    };
    const pair = await connectPair(t, dispatch, scheduler);
    // Other users have used up this turn: there is time for one call.
    scheduler.note(60_000);
    pair.client.send(twice);
    await eventually(() => scheduler.jobs.length === 1);
    assert.equal(begun.length, 1);
    assert.deepEqual(await pair.client.receive(), answers[0]);
    scheduler.begin();
    assert.deepEqual(await pair.client.receive(), answers[1]);
    assert.equal(begun.length, 2);
  });

  it('begins nothing, and goes on with the calls that came meanwhile', async (t) => {
    const pair = await waiting(t);
    pair.client.send({ index: 2 });
    pair.client.end();
    await settle(pair);
    assert.deepEqual([pair.begun, pair.scheduler.jobs.length], [[], 1]);
    pair.scheduler.begin();
    assert.deepEqual(await receiveAll(pair.client), [...answers, { parameters: { index: 2 } }]);
    await pair.closed;
  });

  it('answers the received calls after finish()', async (t) => {
    const pair = await waiting(t);
    pair.connection.finish();
    await settle(pair);
    assert.deepEqual(pair.begun, []);
    pair.scheduler.begin();
    assert.deepEqual(await receiveAll(pair.client), answers);
    await pair.closed;
  });

  it('ends at once after refuse(), shed() or destroy(), and begins nothing then', async (t) => {
    for (const end of ['refuse', 'shed', 'destroy'] as const) {
      const pair = await waiting(t);
      pair.connection[end](BUSY);
      const busy = { error: 'io.cio.Credentials.Busy', parameters: {} };
      assert.deepEqual(await receiveAll(pair.client), end === 'destroy' ? [] : [busy]);
      await pair.closed;
      pair.scheduler.begin();
      await nextTurn();
      assert.deepEqual([pair.begun, pair.scheduler.jobs.length, pair.held.now, pair.defects], [[], 0, 0, []]);
    }
  });
});
