import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MESSAGE_PARTS_MAX } from '../../../daemon/socket/limits.ts';
import { MESSAGE_BYTES_MAX } from '../../../src/limits.ts';
import { assertUnseen, Canaries } from '../../support/canary.ts';
import { eventually } from '../../support/eventually.ts';
import { CREATE, GET, ManualDispatch, connectPair, echo, messages, receiveAll, settle } from './pair.ts';

const NOT_JSON = { error: 'io.cio.Credentials.MalformedMessage', parameters: { reason: 'not_json' } };
const TOO_LARGE = { error: 'io.cio.Credentials.TooLarge', parameters: { limit: MESSAGE_BYTES_MAX } };

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

  it('ends a stream with TooLarge in place of a reply that no client would accept', async (t) => {
    let isReleased = false;
    const pair = await connectPair(t, async function* () {
      try {
        yield { parameters: { part: 1 }, continues: true };
        yield { parameters: { text: 'x'.repeat(MESSAGE_BYTES_MAX) }, continues: true };
        yield { parameters: { part: 3 } };
      } finally {
        isReleased = true;
      }
    });
    const first = { parameters: { part: 1 }, continues: true };
    pair.client.send(messages({}, {}));
    const replies = [];
    for (let index = 0; index < 4; index += 1) replies.push(await pair.client.receive());
    assert.deepEqual(replies, [first, TOO_LARGE, first, TOO_LARGE], 'an error is the last reply to its call');
    assert.ok(isReleased);
  });

  it('sends TooLarge in place of a reply that no client would accept', async (t) => {
    const pair = await connectPair(t, () => ({ parameters: { text: 'ä'.repeat(MESSAGE_BYTES_MAX / 2) } }));
    pair.client.send(messages({}, {}));
    for (let index = 0; index < 2; index += 1) assert.deepEqual(await pair.client.receive(), TOO_LARGE);
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

  it('are the bytes of unread replies, not their characters', async (t) => {
    const reply = { parameters: { text: 'ä'.repeat(1024 * 1024) } };
    const pair = await connectPair(t, () => reply);
    pair.client.socket.pause();
    pair.client.send({});
    await eventually(() => pair.held.now > 0);
    assert.equal(pair.held.now, Buffer.byteLength(`${JSON.stringify(reply)}\0`));
    pair.client.socket.resume();
    assert.equal((await pair.client.receive())?.parameters?.['text'], reply.parameters.text);
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
