import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import type { Reply } from '../../../daemon/dispatch.ts';
import {
  CALLS_IN_FLIGHT_MAX,
  MESSAGE_PARTS_MAX,
  MESSAGE_TIME_MAX_MS,
  STOP_TIME_MAX_MS,
  UNREAD_BYTES_MAX,
  UNREAD_TIME_MAX_MS,
} from '../../../daemon/socket/limits.ts';
import { CredentialError } from '../../../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../../../src/limits.ts';
import { assertUnseen, Canaries } from '../../support/canary.ts';
import { eventually } from '../../support/eventually.ts';
import type { RawVarlink } from '../../support/varlink.ts';
import { ManualDispatch, ManualTurns, connectPair, echo } from './pair.ts';
import type { Pair } from './pair.ts';

const CREATE = 'io.cio.Credentials.Create';
const GRANT = 'io.cio.Credentials.Grant';
const GET = 'io.cio.Credentials.Get';
const NOT_JSON = { error: 'io.cio.Credentials.MalformedMessage', parameters: { reason: 'not_json' } };
const TOO_LARGE = { error: 'io.cio.Credentials.TooLarge', parameters: { limit: MESSAGE_BYTES_MAX } };
const BUSY = new CredentialError('Busy', {});

/** Returns everything that is received until the connection ends. */
async function receiveAll(client: RawVarlink): Promise<unknown[]> {
  const received: unknown[] = [];
  for (let reply = await client.receive(); reply !== undefined; reply = await client.receive()) received.push(reply);
  assert.equal(client.rest.length, 0, 'the last reply is whole');
  return received;
}

/** Waits long enough for the sent bytes to arrive and to be processed. */
async function settle({ client }: Pair): Promise<void> {
  await eventually(() => client.socket.writableLength === 0);
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
}

function messages(...texts: readonly object[]): string {
  return texts.map((text) => `${JSON.stringify(text)}\0`).join('');
}

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

describe('Connection: messages', () => {
  it('accepts a message byte by byte', async (t) => {
    const pair = await connectPair(t, echo);
    pair.client.socket.setNoDelay?.();
    for (const byte of Buffer.from(messages({ text: 'ä\u{1F511}' }))) {
      pair.client.send(Uint8Array.of(byte));
      await nextTurn();
    }
    assert.deepEqual(await pair.client.receive(), { parameters: { text: 'ä\u{1F511}' } });
  });

  it('accepts any messages in any pieces', async (t) => {
    const pair = await connectPair(t, echo);
    const texts = fc.array(fc.string({ maxLength: 300, unit: 'grapheme' }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(texts, fc.array(fc.nat(500), { maxLength: 10 }), async (list, cuts) => {
        let bytes = Buffer.from(messages(...list.map((text) => ({ text }))));
        for (const cut of cuts) {
          pair.client.send(bytes.subarray(0, cut));
          bytes = bytes.subarray(cut);
          await nextTurn();
        }
        pair.client.send(bytes);
        for (const text of list) assert.deepEqual(await pair.client.receive(), { parameters: { text } });
      }),
      { numRuns: 50 },
    );
    assert.equal(pair.held.now, 0);
  });

  it('accepts a message of the maximum size', async (t) => {
    const pair = await connectPair(t, (_caller, message) => ({
      parameters: { length: (message as { text: string }).text.length },
    }));
    const length = MESSAGE_BYTES_MAX - '{"text":""}'.length;
    pair.client.send({ text: 'x'.repeat(length) });
    assert.deepEqual(await pair.client.receive(), { parameters: { length } });
    assert.ok(pair.held.most <= MESSAGE_BYTES_MAX);
    assert.equal(pair.held.now, 0);
  });

  for (const [what, tail] of [
    ['one byte more', '"}\0'],
    ['a message that never ends', 'x'.repeat(MESSAGE_BYTES_MAX)],
  ] as const) {
    it(`answers the calls before ${what}, refuses it with TooLarge, and closes`, async (t) => {
      const pair = await connectPair(t, echo);
      pair.client.send({ index: 1 });
      pair.client.send(`{"text":"${'x'.repeat(MESSAGE_BYTES_MAX - '{"text":""}'.length + 1)}${tail}`);
      assert.deepEqual(await receiveAll(pair.client), [{ parameters: { index: 1 } }, TOO_LARGE]);
      await pair.closed;
      assert.ok(pair.held.most <= MESSAGE_BYTES_MAX + 65_536);
      assert.equal(pair.held.now, 0);
    });
  }

  const canaries = new Canaries();
  const secret = canaries.plant('secret');
  for (const [what, bytes] of [
    ['text that is not JSON', secret],
    ['half of a JSON text', `{"method":"${secret.slice(0, 9)}`],
    ['an empty message', ''],
    ['white space', ' \n'],
    ['null', 'null'],
    ['two JSON texts', '{}{}'],
    ['a comment', `{} // ${secret}`],
    ['single quotes', "{'method':'x'}"],
    ['not a number', '{"x":NaN}'],
    ['a byte order mark', '\ufeff{}'],
    ['a control character in a string', '{"x":"\u0001"}'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0x78, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
    ['half of a UTF-8 character', Buffer.from([0x22, 0xc3, 0x22])],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['brackets without end', '['.repeat(MESSAGE_PARTS_MAX)],
  ] as const) {
    it(`answers the calls before ${what}, refuses it with MalformedMessage, and closes`, async (t) => {
      const manual = new ManualDispatch();
      const pair = await connectPair(t, manual.dispatch);
      pair.client.send(messages({ method: CREATE }));
      pair.client.send(
        Buffer.concat([Buffer.from(bytes), Buffer.from('\0'), Buffer.from(messages({}, { method: GET }))]),
      );
      await settle(pair);
      assert.deepEqual(manual.begun, [{ method: CREATE }]);
      manual.answer(0);
      const received = await receiveAll(pair.client);
      assert.deepEqual(received, [{ parameters: { index: 0 } }, NOT_JSON]);
      assertUnseen(canaries.findIn('reply', JSON.stringify(received)));
      await pair.closed;
      assert.equal(manual.begun.length, 1);
    });
  }

  it('accepts deeply nested JSON', async (t) => {
    const pair = await connectPair(t, (_caller, message) => ({ parameters: { isArray: Array.isArray(message) } }));
    const depth = MESSAGE_PARTS_MAX;
    pair.client.send(`${'['.repeat(depth)}${']'.repeat(depth)}\0`);
    assert.deepEqual(await pair.client.receive(), { parameters: { isArray: true } });
  });

  it('answers the calls before a message with too many parts, refuses it with TooLarge, and closes', async (t) => {
    const pair = await connectPair(t, echo);
    const parts = Array.from({ length: MESSAGE_PARTS_MAX }, () => ({}));
    pair.client.send(messages({ index: 1 }, { parts }, { index: 2 }));
    const received = await receiveAll(pair.client);
    const refusal = { error: 'io.cio.Credentials.TooLarge', parameters: { limit: MESSAGE_PARTS_MAX } };
    assert.deepEqual(received, [{ parameters: { index: 1 } }, refusal]);
    await pair.closed;
    assert.equal(pair.held.now, 0);
  });

  it('sends a reply of the maximum size', async (t) => {
    const text = 'x'.repeat(MESSAGE_BYTES_MAX - JSON.stringify({ parameters: { text: '' } }).length);
    const pair = await connectPair(t, () => ({ parameters: { text } }));
    pair.client.send({});
    assert.equal((await pair.client.receive())?.parameters?.['text'], text);
  });

  it('sends TooLarge in place of a reply that no client would accept', async (t) => {
    const pair = await connectPair(t, () => ({ parameters: { text: 'ä'.repeat(MESSAGE_BYTES_MAX / 2) } }));
    pair.client.send(messages({}, {}));
    for (let index = 0; index < 2; index += 1) assert.deepEqual(await pair.client.receive(), TOO_LARGE);
  });
});

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
    const turns = new ManualTurns();
    const pair = await connectPair(t, echo, turns);
    pair.client.send('{"x":');
    await eventually(() => pair.held.now > 0);
    turns.isTime = false;
    pair.client.send('[');
    await eventually(() => turns.jobs.length === 1);
    const clock = performance.now.bind(performance);
    let aheadMs = 0;
    t.mock.method(performance, 'now', () => clock() + aheadMs);
    const pass = (ms: number): void => {
      aheadMs += ms;
      pair.connection.checkTimes(performance.now());
    };
    pass(2 * MESSAGE_TIME_MAX_MS);
    assert.equal(pair.connection.isEnding, false);
    turns.begin();
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

  async function waiting(t: TestContext): Promise<Pair & { turns: ManualTurns; begun: unknown[] }> {
    const turns = new ManualTurns();
    const begun: unknown[] = [];
    const pair = await connectPair(
      t,
      (_caller, message) => {
        begun.push(message);
        return { parameters: message as object };
      },
      turns,
    );
    turns.isTime = false;
    pair.client.send(twice);
    await eventually(() => turns.jobs.length === 1);
    return { ...pair, turns, begun };
  }

  it('begins the calls for which there is time, and no more', async (t) => {
    const turns = new ManualTurns();
    const begun: unknown[] = [];
    const dispatch = (_caller: unknown, message: unknown): Reply => {
      begun.push(message);
      return { parameters: message as object };
    };
    const pair = await connectPair(t, dispatch, turns);
    // Other users have used up this turn: there is time for one call.
    turns.note(60_000);
    pair.client.send(twice);
    await eventually(() => turns.jobs.length === 1);
    assert.equal(begun.length, 1);
    assert.deepEqual(await pair.client.receive(), answers[0]);
    turns.begin();
    assert.deepEqual(await pair.client.receive(), answers[1]);
    assert.equal(begun.length, 2);
  });

  it('begins nothing, and goes on with the calls that came meanwhile', async (t) => {
    const pair = await waiting(t);
    pair.client.send({ index: 2 });
    pair.client.end();
    await settle(pair);
    assert.deepEqual([pair.begun, pair.turns.jobs.length], [[], 1]);
    pair.turns.begin();
    assert.deepEqual(await receiveAll(pair.client), [...answers, { parameters: { index: 2 } }]);
    await pair.closed;
  });

  it('answers the received calls after finish()', async (t) => {
    const pair = await waiting(t);
    pair.connection.finish();
    await settle(pair);
    assert.deepEqual(pair.begun, []);
    pair.turns.begin();
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
      pair.turns.begin();
      await nextTurn();
      assert.deepEqual([pair.begun, pair.turns.jobs.length, pair.held.now, pair.defects], [[], 0, 0, []]);
    }
  });
});

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

describe('Connection: held bytes', () => {
  it('are counted exactly, and are zero in the end', async (t) => {
    const pair = await connectPair(t, echo);
    for (const [sent, held] of [
      ['{"x"', 4],
      [':1', 6],
      ['}\0', 0],
      ['{}\0{}\0[', 1],
    ] as const) {
      pair.client.send(sent);
      await settle(pair);
      assert.deepEqual([pair.held.now, pair.connection.heldBytes], [held, held]);
    }
    pair.client.socket.destroy();
    await once(pair.client.socket, 'close');
    await pair.closed;
    assert.equal(pair.held.now, 0);
  });

  it('include a call that waits for the one before it', async (t) => {
    const manual = new ManualDispatch();
    const pair = await connectPair(t, manual.dispatch);
    const call = messages({ method: GET });
    pair.client.send(call + call);
    for (let waiting = 1; waiting >= 0; waiting -= 1) {
      await eventually(() => manual.begun.length === 2 - waiting);
      await eventually(() => pair.held.now === (1 + waiting) * (call.length - 1));
      manual.answer(1 - waiting);
      await pair.client.receive();
    }
    await eventually(() => pair.held.now === 0);
  });

  it('are freed at once, whether the message was read or not', async (t) => {
    const bytes = 1024 * 1024;
    let givenBack = 0;
    const transfer = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'transfer')?.value as () => ArrayBuffer;
    t.mock.method(ArrayBuffer.prototype, 'transfer', function (this: ArrayBuffer) {
      givenBack += this.byteLength;
      return transfer.call(this);
    });
    const pair = await connectPair(t, () => ({ parameters: {} }));
    pair.client.send(`"${'x'.repeat(bytes)}"\0`);
    assert.deepEqual(await pair.client.receive(), { parameters: {} });
    // The message in one piece, and the chunks in which it came.
    assert.ok(givenBack > 1.5 * bytes, `${givenBack} bytes`);
    givenBack = 0;
    pair.client.send('x'.repeat(bytes));
    await eventually(() => pair.held.now === bytes);
    pair.client.socket.destroy();
    await pair.closed;
    assert.ok(givenBack > 1.5 * bytes, `${givenBack} bytes`);
  });
});
