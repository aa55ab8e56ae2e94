import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CallReader } from '../../../daemon/socket/call-reader.ts';
import { CredentialError } from '../../../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../../../src/limits.ts';

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

describe('CallReader', () => {
  it('returns the calls in a chunk one by one, and wipes each once it is read', () => {
    const reader = new CallReader();
    const chunk = Buffer.from('{"a":1}\0{"b":"two"}\0{"c"');
    reader.push(chunk);
    assert.deepEqual(reader.next(), { message: { a: 1 }, bytes: 7 });
    assert.ok(isZero(chunk.subarray(0, 7)), 'the first one is wiped');
    assert.equal(chunk.toString('latin1', 8, 19), '{"b":"two"}', 'the second one waits');
    assert.deepEqual(reader.next(), { message: { b: 'two' }, bytes: 11 });
    assert.equal(reader.hasMore, true);
    assert.equal(reader.next(), undefined);
    assert.ok(isZero(chunk), 'nothing is left in the chunk');
    assert.deepEqual([reader.hasMore, reader.pendingBytes], [false, 4]);
  });

  it('knows when the first byte of the current message came', (t) => {
    t.mock.method(performance, 'now', () => now);
    let now = 1000;
    const reader = new CallReader();
    const push = (text: string): unknown => {
      reader.push(Buffer.from(text));
      const calls = [];
      for (let call = reader.next(); call !== undefined; call = reader.next()) calls.push(call);
      return calls.length;
    };
    assert.equal(push('{}\0'), 1);
    assert.equal(reader.messageSince, undefined);
    assert.equal(push('{'), 0);
    now = 2000;
    assert.equal(push(' '), 0);
    assert.equal(reader.messageSince, 1000);
    assert.equal(push('}\0{'), 1);
    assert.equal(reader.messageSince, 2000);
    reader.wipe();
    assert.deepEqual([reader.messageSince, reader.pendingBytes], [undefined, 0]);
  });

  it('reports a message that is not JSON, and wipes it', () => {
    const reader = new CallReader();
    const chunk = Buffer.from('{"secret\0');
    reader.push(chunk);
    assert.equal(reader.next(), 'not_json');
    assert.ok(isZero(chunk));
  });

  it('throws TooLarge for a message over the limit, and keeps nothing of it', () => {
    const reader = new CallReader();
    reader.push(Buffer.alloc(MESSAGE_BYTES_MAX, 'x'));
    assert.equal(reader.next(), undefined);
    reader.push(Buffer.from('x'));
    assert.throws(
      () => reader.next(),
      (error) => error instanceof CredentialError && error.code === 'TooLarge',
    );
    reader.wipe();
    assert.deepEqual([reader.hasMore, reader.pendingBytes], [false, 0]);
  });

  it('wipe() wipes a chunk of which nothing was read', () => {
    const reader = new CallReader();
    const chunk = Buffer.from('{"secret":2}\0');
    reader.push(chunk);
    reader.wipe();
    assert.ok(isZero(chunk));
    assert.equal(reader.next(), undefined);
  });

  for (const end of ['next', 'wipe', 'discard'] as const) {
    it(`${end}() frees the memory of a large chunk, but not of one that shares its buffer`, () => {
      const [large, small, shared] = [Buffer.alloc(16_384, ' '), Buffer.alloc(16_383, ' '), Buffer.alloc(40_000, ' ')];
      for (const chunk of [large, small, shared.subarray(0, 20_000)]) {
        const reader = new CallReader();
        if (end === 'discard') reader.discard(chunk);
        else reader.push(chunk);
        if (end === 'next') assert.equal(reader.next(), undefined);
        if (end === 'wipe') reader.wipe();
      }
      assert.deepEqual([large.length, small.length, shared.length], [0, 16_383, 40_000]);
    });
  }

  it('next() frees the memory of a message that came in pieces, but not of a chunk that has more', (t) => {
    const givenBack: number[] = [];
    t.mock.method(ArrayBuffer.prototype, 'transfer', function (this: ArrayBuffer) {
      givenBack.push(this.byteLength);
      return this;
    });
    const reader = new CallReader();
    reader.push(Buffer.from('{"a":'));
    assert.equal(reader.next(), undefined);
    reader.push(Buffer.from('1}\0{}\0'));
    assert.deepEqual(reader.next(), { message: { a: 1 }, bytes: 7 });
    assert.deepEqual(givenBack, [4096]);
    assert.deepEqual(reader.next(), { message: {}, bytes: 2 });
    assert.deepEqual(givenBack, [4096]);
  });

  for (const end of ['wipe', 'discard'] as const) {
    it(`${end}() wipes everything that will not be read`, () => {
      const reader = new CallReader();
      const chunk = Buffer.from('{"a":1}\0{"secret":2}\0{');
      if (end === 'discard') {
        reader.discard(chunk);
      } else {
        reader.push(chunk);
        assert.deepEqual(reader.next(), { message: { a: 1 }, bytes: 7 });
        reader.wipe();
      }
      assert.ok(isZero(chunk));
      assert.deepEqual([reader.hasMore, reader.pendingBytes], [false, 0]);
    });
  }
});
