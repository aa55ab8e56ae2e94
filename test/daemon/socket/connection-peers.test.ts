import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { STOP_TIME_MAX_MS, UNREAD_BYTES_MAX, UNREAD_TIME_MAX_MS } from '../../../daemon/socket/limits.ts';
import { eventually } from '../../support/eventually.ts';
import { CREATE, GET, ManualDispatch, connectPair, echo, messages, receiveAll, settle } from './pair.ts';

describe('Connection: a peer that closes', () => {
  it('only its sending side gets the replies to its calls, and then the end', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    pair.client.send(messages({ method: CREATE }, { method: GET }, { method: GET }));
    pair.client.end();
    for (let index = 0; index < 3; index += 1) {
      await eventually(() => manual.begun.length === index + 1);
      await settle(pair);
      manual.answer(index);
    }
    assert.deepEqual(
      await receiveAll(pair.client),
      [0, 1, 2].map((index) => ({ parameters: { index } })),
    );
    await pair.closed;
  });

  for (const [what, sent] of [
    ['has sent nothing', ''],
    ['has sent half of a message', '{"method":'],
  ] as const) {
    it(`only its sending side and ${what} gets the end`, async (t) => {
      const pair = await connectPair(t, echo);
      pair.client.send(sent);
      pair.client.end();
      assert.deepEqual(await receiveAll(pair.client), []);
      await pair.closed;
      assert.equal(pair.held.now, 0);
    });
  }

  it('in the middle of a call leaves nothing behind', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    pair.client.send(`${messages({ method: CREATE }, { method: CREATE })}{"half":`);
    await eventually(() => manual.begun.length === 2);
    pair.client.close();
    await settle(pair);
    for (const index of [0, 1]) manual.answer(index);
    await pair.closed;
    assert.deepEqual([pair.held.now, pair.defects], [0, []]);
  });

  it('in the middle of a call is reported to the method once, and the next call begins', async (t) => {
    // No turn is used up: otherwise the connection may end before there is time for the next call.
    const now = performance.now();
    t.mock.method(performance, 'now', () => now);
    const manual = new ManualDispatch();
    let told = 0;
    const pair = await connectPair(t, (caller, message, gone) => {
      gone?.(() => (told += 1));
      return manual.dispatch(caller, message);
    });
    pair.client.send(messages({ method: GET }, { method: GET }));
    await eventually(() => manual.begun.length === 1);
    pair.connection.checkTimes(performance.now());
    assert.equal(told, 0, 'who is there has not left');
    pair.client.close();
    for (let time = 0; time < 2; time += 1) pair.connection.checkTimes(performance.now());
    assert.equal(told, 1);
    manual.answer(0);
    await eventually(() => manual.begun.length === 2);
    manual.answer(1);
    await pair.closed;
    assert.deepEqual(pair.defects, []);
  });

  it('in the middle of a stream ends the stream', async (t) => {
    const ended = Promise.withResolvers<void>();
    const pair = await connectPair(t, async function* () {
      try {
        for (;;) {
          yield { parameters: { text: 'x'.repeat(100_000) }, continues: true };
          await nextTurn();
        }
      } finally {
        ended.resolve();
      }
    });
    pair.client.send({ more: true });
    await pair.client.receive();
    pair.client.close();
    await ended.promise;
    await pair.closed;
    assert.deepEqual(pair.defects, []);
  });

  it('in the middle of a silent stream ends it as well', async (t) => {
    let isTold = false;
    const pair = await connectPair(t, async function* (_caller, _message, gone) {
      yield { parameters: {}, continues: true };
      await new Promise<void>((resolve) => void gone?.(resolve));
      isTold = true;
    });
    pair.client.send({ more: true });
    await pair.client.receive();
    pair.connection.checkTimes(performance.now());
    await nextTurn();
    assert.equal(isTold, false, 'who is there has not left');
    pair.client.close();
    await eventually(() => {
      pair.connection.checkTimes(performance.now());
      return isTold;
    });
    await pair.closed;
    assert.deepEqual(pair.defects, []);
  });
});

describe('Connection: a peer that does not read', () => {
  for (const when of ['at once', 'later']) {
    it(`has no more calls begun than it leaves replies unread, and gets all once it reads (answered ${when})`, async (t) => {
      let begun = 0;
      const text = 'x'.repeat(50_000);
      const pair = await connectPair(t, () => {
        begun += 1;
        const reply = { parameters: { text, begun } };
        return when === 'at once' ? reply : nextTurn(reply);
      });
      pair.client.socket.pause();
      const count = 500;
      pair.client.send(messages(...Array.from({ length: count }, () => ({}))));
      await settle(pair);
      for (let turn = 0; turn < count; turn += 1) await nextTurn();
      assert.ok(begun * text.length < 3 * UNREAD_BYTES_MAX, `${begun} calls were begun`);
      assert.ok(pair.held.most < 3 * UNREAD_BYTES_MAX);
      pair.client.socket.resume();
      for (let index = 1; index <= count; index += 1)
        assert.equal((await pair.client.receive())?.parameters?.['begun'], index);
      await eventually(() => pair.held.now === 0);
    });
  }

  it('pauses a stream, which is asked for no more meanwhile', async (t) => {
    let yielded = 0;
    const pair = await connectPair(t, async function* () {
      for (; yielded < 200; yielded += 1) yield { parameters: { text: 'x'.repeat(50_000) }, continues: true };
      yield { parameters: {} };
    });
    pair.client.socket.pause();
    pair.client.send({});
    await settle(pair);
    assert.ok(yielded < 60, `${yielded} replies were made`);
    assert.ok(pair.held.now > UNREAD_BYTES_MAX, 'what he does not read is counted');
    pair.client.socket.resume();
    let replies = 0;
    for (let reply = await pair.client.receive(); reply?.continues === true; reply = await pair.client.receive())
      replies += 1;
    assert.equal(replies, 200);
  });

  it('is closed after a time, and not before', async (t) => {
    const pair = await connectPair(t, () => ({ parameters: { text: 'x'.repeat(2 * UNREAD_BYTES_MAX) } }));
    pair.client.socket.pause();
    pair.client.send(messages({}, {}));
    await eventually(() => pair.held.now > UNREAD_BYTES_MAX);
    const since = performance.now();
    pair.connection.checkTimes(since + UNREAD_TIME_MAX_MS - 1000);
    assert.equal(pair.client.socket.destroyed, false);
    pair.connection.checkTimes(since + UNREAD_TIME_MAX_MS + 1);
    await pair.closed;
    assert.equal(pair.held.now, 0);
  });

  it('is closed in the end even if it leaves little unread', async (t) => {
    const pair = await connectPair(t, () => ({ parameters: { text: 'x'.repeat(UNREAD_BYTES_MAX / 2) } }));
    pair.client.socket.pause();
    pair.client.send({});
    await eventually(() => pair.held.now > 0);
    pair.connection.finish();
    pair.connection.checkTimes(performance.now() + STOP_TIME_MAX_MS + 1);
    await pair.closed;
  });
});
