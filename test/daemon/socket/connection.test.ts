import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { Reply } from '../../../daemon/dispatch.ts';
import { CALLS_IN_FLIGHT_MAX, UNREAD_BYTES_MAX } from '../../../daemon/socket/limits.ts';
import { eventually } from '../../support/eventually.ts';
import { BUSY, CREATE, GET, GRANT, ManualDispatch, connectPair, echo, messages, receiveAll, settle } from './pair.ts';

describe('Connection: order', () => {
  it('answers calls in the order in which they came, whichever is ready first', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    pair.client.send(messages(...[0, 1, 2].map((index) => ({ method: CREATE, index }))));
    await eventually(() => manual.begun.length === 3);
    for (const index of [2, 1, 0]) manual.answer(index);
    for (const index of [0, 1, 2]) assert.deepEqual(await pair.client.receive(), { parameters: { index } });
  });

  it('sends the replies that are ready in the same turn with one write', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    const chunks: Buffer[] = [];
    pair.client.socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
    const places = Array.from({ length: CALLS_IN_FLIGHT_MAX }, (_, index) => index);
    pair.client.send(messages(...places.map((index) => ({ method: CREATE, index }))));
    await eventually(() => manual.begun.length === places.length);
    for (const index of places) manual.answer(index);
    await eventually(() => chunks.length > 0);
    assert.equal(Buffer.concat(chunks).toString(), messages(...places.map((index) => ({ parameters: { index } }))));
    assert.equal(chunks.length, 1);
  });

  it('begins a call once the ones before it are answered, or alongside others of the same method for Create and Grant', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    const methods = [CREATE, CREATE, GET, GET, CREATE, CREATE, GRANT, GRANT, GET];
    pair.client.send(messages(...methods.map((method) => ({ method }))));
    const begunAfter = async (answered: readonly number[]): Promise<number> => {
      for (const index of answered) {
        manual.answer(index);
        await pair.client.receive();
      }
      await settle(pair);
      return manual.begun.length;
    };
    assert.equal(await begunAfter([]), 2);
    assert.equal(await begunAfter([0]), 2);
    assert.equal(await begunAfter([1]), 3);
    assert.equal(await begunAfter([2]), 4);
    assert.equal(await begunAfter([3]), 6);
    assert.equal(await begunAfter([4]), 6);
    assert.equal(await begunAfter([5]), 8);
    assert.equal(await begunAfter([6, 7]), 9);
    assert.deepEqual(
      manual.begun.map((message) => (message as { method: string }).method),
      methods,
    );
  });

  it(`has at most ${CALLS_IN_FLIGHT_MAX} calls in progress`, async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    const count = 3 * CALLS_IN_FLIGHT_MAX;
    pair.client.send(messages(...Array.from({ length: count }, (_, index) => ({ method: CREATE, index }))));
    await settle(pair);
    assert.equal(manual.begun.length, CALLS_IN_FLIGHT_MAX);
    for (let index = 0; index < count; index += 1) {
      await eventually(() => manual.begun.length > index);
      assert.ok(manual.begun.length <= index + CALLS_IN_FLIGHT_MAX);
      manual.answer(index);
      assert.deepEqual(await pair.client.receive(), { parameters: { index } });
    }
  });

  it('sends no reply to a oneway call, and goes on with the calls after it', async (t) => {
    const pair = await connectPair(t, (caller, message) => {
      const { oneway } = message as { oneway?: string };
      if (oneway === 'later') return Promise.resolve(undefined);
      return oneway === undefined ? echo(caller, message) : undefined;
    });
    pair.client.send(messages({ oneway: 'now' }, { index: 1 }, { oneway: 'later' }, { index: 2 }));
    for (const index of [1, 2]) assert.deepEqual(await pair.client.receive(), { parameters: { index } });
  });
});

describe('Connection: long calls', () => {
  it('reports calls and streams that took longer than a second, and no others', async (t) => {
    let after = 0;
    const now = performance.now.bind(performance);
    t.mock.method(performance, 'now', () => now() + after);
    const wait = async (ms: number): Promise<void> => {
      await nextTurn();
      after += ms;
    };
    const { client, long } = await connectPair(t, (_caller, message) => {
      const { method } = message as { method: string };
      if (method === GRANT) {
        return (async function* () {
          for (let reply = 0; reply < 2; reply += 1) {
            await wait(600);
            yield { parameters: {}, continues: reply === 0 };
          }
        })();
      }
      return method === GET ? { parameters: {} } : wait(900).then(() => ({ parameters: {} }));
    });
    client.send(messages({ method: CREATE }, { method: GET }));
    for (let replies = 0; replies < 2; replies += 1) await client.receive();
    assert.equal(long.calls, 0);
    client.send(messages({ method: GRANT, more: true }, { method: GET }));
    for (let replies = 0; replies < 3; replies += 1) await client.receive();
    assert.equal(long.calls, 1);
  });
});

describe('Connection.finish()', () => {
  it('answers the received calls, begins none that come later, and closes', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    pair.client.send(messages({ method: CREATE }, { method: GET, index: 1 }, { method: GET, index: 2 }));
    await eventually(() => manual.begun.length === 1);
    pair.connection.finish();
    pair.client.send(messages({ method: GET, index: 3 }));
    for (let index = 0; index < 3; index += 1) {
      await eventually(() => manual.begun.length === index + 1);
      await settle(pair);
      manual.answer(index);
    }
    assert.equal((await receiveAll(pair.client)).length, 3);
    await pair.closed;
    assert.equal(manual.begun.length, 3);
  });

  it('answers more calls than can be in progress at once', async (t) => {
    const pair = await connectPair(t, async (_caller, message) => {
      await nextTurn();
      return { parameters: message as object };
    });
    const count = 2 * CALLS_IN_FLIGHT_MAX + 1;
    pair.client.send(messages(...Array.from({ length: count }, (_, index) => ({ method: CREATE, index }))));
    await pair.client.receive();
    pair.connection.finish();
    assert.equal((await receiveAll(pair.client)).length, count - 1);
  });

  it('closes at once if there was no call', async (t) => {
    const pair = await connectPair(t, echo);
    pair.connection.finish();
    assert.deepEqual(await receiveAll(pair.client), []);
    await pair.closed;
  });
});

describe('Connection.refuse() and shed()', () => {
  it('send the reason, and close', async (t) => {
    for (const end of ['refuse', 'shed'] as const) {
      const pair = await connectPair(t, echo);
      pair.client.send('{"half":');
      await eventually(() => pair.held.now > 0);
      pair.connection[end](BUSY);
      assert.deepEqual(await receiveAll(pair.client), [{ error: 'io.cio.Credentials.Busy', parameters: {} }]);
      await pair.closed;
    }
  });

  for (const end of ['refuse', 'shed'] as const) {
    it(`${end}() sends the reply to a call in progress first, since its work is done`, async (t) => {
      const manual = new ManualDispatch();
      const pair = await connectPair(t, manual.dispatch);
      pair.client.send(messages({ method: CREATE }, { method: GET }));
      await eventually(() => manual.begun.length === 1);
      pair.connection[end](BUSY);
      await settle(pair);
      manual.answer(0);
      assert.deepEqual(await receiveAll(pair.client), [
        { parameters: { index: 0 } },
        { error: 'io.cio.Credentials.Busy', parameters: {} },
      ]);
      assert.equal(manual.begun.length, 1);
    });
  }

  it('shed() discards replies that the peer does not read', async (t) => {
    const pair = await connectPair(t, () => ({ parameters: { text: 'x'.repeat(2 * UNREAD_BYTES_MAX) } }));
    pair.client.socket.pause();
    pair.client.send({});
    await eventually(() => pair.held.now > 0);
    pair.connection.shed(BUSY);
    await pair.closed;
    assert.equal(pair.held.now, 0);
  });
});

describe('Connection.isIdle', () => {
  it('is true if nothing is in progress, held or unread', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    assert.equal(pair.connection.isIdle, true);
    pair.client.send(messages({ method: GET }));
    await eventually(() => manual.begun.length === 1);
    assert.equal(pair.connection.isIdle, false);
    manual.answer(0);
    await pair.client.receive();
    await eventually(() => pair.connection.isIdle);
    pair.client.send('{');
    await eventually(() => !pair.connection.isIdle);
    pair.client.send('}\0');
    await eventually(() => manual.begun.length === 2);
    manual.answer(1, { text: 'x'.repeat(2 * UNREAD_BYTES_MAX) });
    pair.client.socket.pause();
    await eventually(() => pair.held.now > UNREAD_BYTES_MAX);
    assert.equal(pair.connection.isIdle, false);
    pair.client.socket.resume();
    await eventually(() => pair.connection.isIdle);
  });
});

describe('Connection: a defect', () => {
  for (const [what, dispatch] of [
    [
      'a dispatch that throws',
      (): Reply => {
        throw new RangeError('by the test');
      },
    ],
    ['a rejected reply', (): Promise<Reply> => Promise.reject(new RangeError('by the test'))],
    ['a reply that cannot be written', (): Reply => ({ parameters: { value: 1n } })],
  ] as const) {
    it(`in ${what} ends this connection, and is reported once`, async (t) => {
      const pair = await connectPair(t, dispatch);
      pair.client.send(messages({ method: GET }, { method: GET }));
      assert.deepEqual(await receiveAll(pair.client), []);
      await pair.closed;
      assert.equal(pair.defects.length, 1);
      assert.equal(pair.held.now, 0);
    });
  }

  it('behind a call in progress leaves the bytes of that call counted until it is done, once', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, (caller, message) => {
      if (manual.begun.length === 0) return manual.dispatch(caller, message);
      throw new RangeError('by the test');
    });
    const call = messages({ method: CREATE });
    pair.client.send(call + call);
    await pair.closed;
    assert.deepEqual([pair.defects.length, pair.held.now], [1, call.length - 1]);
    manual.answer(0);
    await settle(pair);
    assert.equal(pair.held.now, 0);
  });
});
