import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { isCredentialError } from '../../../src/errors.ts';
import { FrameSplitter } from '../../../src/protocol/frame.ts';
import { withinCpuTime } from '../../support/cpu-time.ts';

const MAX = 100_000;

const anyFrame = fc
  .oneof(
    { weight: 4, arbitrary: fc.uint8Array({ max: 255, maxLength: 20 }) },
    { weight: 1, arbitrary: fc.uint8Array({ max: 255, minLength: 4000, maxLength: 10_000, size: 'max' }) },
  )
  .map((bytes) => bytes.map((byte) => (byte === 0 ? 1 : byte)));

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Pushes chunks, and returns the frames as text. They are decoded at once, as the caller may wipe a frame. */
function push(splitter: FrameSplitter, ...chunks: readonly string[]): string[] {
  return chunks.flatMap((chunk) => [...splitter.push(bytesOf(chunk))].map((frame) => new TextDecoder().decode(frame)));
}

/** A stream of frames, followed by the beginning of another one. */
function streamOf(frames: readonly Uint8Array[], rest: Uint8Array): Uint8Array {
  return Uint8Array.from([...frames.flatMap((frame) => [...frame, 0]), ...rest]);
}

/** Cuts bytes at the given places, each piece into a buffer of its own. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return edges.slice(1).map((edge, index) => bytes.slice(edges[index], edge));
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function byLength(a: ArrayBufferLike, b: ArrayBufferLike): number {
  return a.byteLength - b.byteLength;
}

/** Pushes until the splitter refuses, and returns the frames before that as text. */
function pushTooMuch(splitter: FrameSplitter, chunk: Uint8Array, limit: number): string[] {
  const frames: string[] = [];
  assert.throws(
    () => {
      for (const frame of splitter.push(chunk)) frames.push(new TextDecoder().decode(frame));
    },
    (error) => isCredentialError(error, 'TooLarge') && error.fields.limit === limit,
  );
  return frames;
}

/**
 * Collects the buffers that the splitter releases by `transfer()` during a test. They stay attached, for inspection.
 */
function buffersGivenBack(t: TestContext): Set<ArrayBufferLike> {
  const buffers = new Set<ArrayBufferLike>();
  t.mock.method(ArrayBuffer.prototype, 'transfer', function (this: ArrayBuffer) {
    buffers.add(this);
    return this;
  });
  return buffers;
}

/** Collects the buffers that are copied from or to by `Uint8Array.prototype.set` during a test. */
function buffersCopied(t: TestContext): Set<ArrayBufferLike> {
  const buffers = new Set<ArrayBufferLike>();
  t.mock.method(Uint8Array.prototype, 'set', function (this: Uint8Array, source: Uint8Array, offset = 0) {
    buffers.add(this.buffer).add(source.buffer);
    for (const [index, byte] of source.entries()) this[offset + index] = byte;
  });
  return buffers;
}

describe('FrameSplitter', () => {
  it('push() yields each message of a chunk, in order and without its NUL', () => {
    assert.deepEqual(push(new FrameSplitter(MAX), 'one\0two\0three\0'), ['one', 'two', 'three']);
  });

  it('push() keeps a message that arrives byte by byte', () => {
    assert.deepEqual(push(new FrameSplitter(MAX), ...'one\0two\0'.split('')), ['one', 'two']);
  });

  it('push() keeps the beginning of a message that follows whole ones', () => {
    const splitter = new FrameSplitter(MAX);
    assert.deepEqual(push(splitter, 'one\0tw'), ['one']);
    assert.equal(splitter.pendingBytes, 2);
    assert.deepEqual(push(splitter, 'o', '\0three\0', 'fo'), ['two', 'three']);
    assert.equal(splitter.pendingBytes, 2);
  });

  it('push() yields empty messages, and none for an empty chunk', () => {
    assert.deepEqual(push(new FrameSplitter(MAX), '\0', '', '\0\0', 'a', '', '\0'), ['', '', '', 'a']);
  });

  it('push() yields the same messages however the bytes are split', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, places) => {
        const stream = streamOf(frames, new Uint8Array(0));
        const splitter = new FrameSplitter(MAX);
        const found = cut(stream, places).flatMap((chunk) => [...splitter.push(chunk)]);
        assert.deepEqual(
          found,
          frames.map((frame) => Uint8Array.from(frame)),
        );
        assert.equal(splitter.pendingBytes, 0);
      }),
    );
  });

  it('push() leaves no byte anywhere but in its frames and in the splitter', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 6 }),
        anyFrame,
        fc.array(fc.nat(), { maxLength: 12 }),
        (frames, rest, places) => {
          const stream = streamOf(frames, rest);
          const chunks = cut(stream, places);
          const splitter = new FrameSplitter(MAX);
          for (const chunk of chunks) for (const frame of splitter.push(chunk)) frame.fill(0);
          assert.ok(chunks.every(isZero));
          assert.equal(splitter.pendingBytes, rest.length);
        },
      ),
    );
  });

  it('push() zeroes what follows the frame at which its caller stops', () => {
    const splitter = new FrameSplitter(MAX);
    const chunk = bytesOf('one\0two\0thr');
    for (const frame of splitter.push(chunk)) {
      assert.equal(frame.length, 3);
      break;
    }
    assert.deepEqual(chunk, bytesOf('one\0\0\0\0\0\0\0\0'));
    assert.equal(splitter.pendingBytes, 0);
  });

  it('push() does not copy a message that lies in one chunk', () => {
    const chunk = bytesOf('one\0two\0');
    for (const frame of new FrameSplitter(MAX).push(chunk)) assert.equal(frame.buffer, chunk.buffer);
  });

  it('push() assembles every message in a buffer of its own', () => {
    const splitter = new FrameSplitter(MAX);
    const frames = ['on', 'e\0tw', 'o\0'].flatMap((chunk) => [...splitter.push(bytesOf(chunk))]);
    frames[0]?.fill(0x78);
    assert.deepEqual(
      frames.map((frame) => new TextDecoder().decode(frame)),
      ['xxx', 'two'],
    );
  });

  it('push() needs little more memory for an incomplete message than its length', (t) => {
    const givenBack = buffersGivenBack(t);
    const splitter = new FrameSplitter(MAX);
    for (let count = 0; count < 10; count += 1) push(splitter, 'x'.repeat(1000));
    splitter.wipe();
    const sizes = [...givenBack].map(({ byteLength }) => byteLength);
    assert.ok(sizes.length > 1 && Math.max(...sizes) < 2 * 10_000, sizes.join(' '));
  });

  it('push() wipes the buffers that a message outgrew', (t) => {
    const buffers = buffersCopied(t);
    const givenBack = buffersGivenBack(t);
    const splitter = new FrameSplitter(MAX);
    const chunks = Array.from({ length: 50 }, () => new Uint8Array(1000).fill(1));
    const frames = [...chunks, new Uint8Array(1)].flatMap((chunk) => [...splitter.push(chunk)]);
    assert.equal(frames[0]?.length, 50_000);
    buffers.delete(frames[0].buffer);
    assert.ok(buffers.size > chunks.length, 'some were outgrown');
    assert.ok([...buffers].every((buffer) => isZero(new Uint8Array(buffer))));
    const outgrown = [...buffers].filter((buffer) => buffer.byteLength > 1000);
    assert.deepEqual(outgrown.toSorted(byLength), [...givenBack].toSorted(byLength), 'they are given back at once');
  });

  it('push() takes time in proportion to the bytes, however small the chunks', () => {
    withinCpuTime(20_000, () => {
      const bytes = 1024 * 1024;
      const splitter = new FrameSplitter(bytes);
      const chunk = new Uint8Array(1);
      for (let count = 0; count < bytes; count += 1) {
        chunk[0] = 1;
        assert.ok(splitter.push(chunk).next().done);
      }
      assert.equal(splitter.push(new Uint8Array(1)).next().value?.length, bytes);
    });
  });

  it('push() accepts a message of exactly the limit', () => {
    assert.deepEqual(push(new FrameSplitter(3), 'one\0', 't', 'wo\0', 't', 'e', 'n', '\0'), ['one', 'two', 'ten']);
    assert.deepEqual(push(new FrameSplitter(0), '\0\0'), ['', '']);
  });

  it('push() refuses a message over the limit, after those before it', () => {
    assert.deepEqual(pushTooMuch(new FrameSplitter(3), bytesOf('one\0four\0'), 3), ['one']);
    assert.deepEqual(pushTooMuch(new FrameSplitter(3), bytesOf('one\0four'), 3), ['one']);
    assert.deepEqual(pushTooMuch(new FrameSplitter(0), bytesOf('\0a'), 0), ['']);
  });

  it('push() refuses a message over the limit at its first excess byte', () => {
    const splitter = new FrameSplitter(3);
    assert.deepEqual(push(splitter, 'f', 'ou'), []);
    pushTooMuch(splitter, bytesOf('r'), 3);
  });

  it('push() keeps refusing after a message over the limit, and holds none of it', () => {
    const splitter = new FrameSplitter(3);
    push(splitter, 'fo');
    const chunk = bytesOf('ur\0one\0');
    pushTooMuch(splitter, chunk, 3);
    assert.equal(splitter.pendingBytes, 0);
    assert.ok(isZero(chunk));
    assert.deepEqual(pushTooMuch(splitter, bytesOf('a\0'), 3), []);
    assert.equal(splitter.pendingBytes, 0);
  });

  it('push() never holds more than the limit', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 6 }), fc.nat(30), (chunks, limit) => {
        const splitter = new FrameSplitter(limit);
        try {
          for (const chunk of chunks) for (const frame of splitter.push(chunk)) assert.ok(frame.length <= limit);
        } catch (error) {
          assert.ok(isCredentialError(error, 'TooLarge'));
        }
        assert.ok(splitter.pendingBytes <= limit);
      }),
    );
  });

  it('wipe() zeroes the held bytes, and resets the splitter', (t) => {
    const buffers = buffersCopied(t);
    const givenBack = buffersGivenBack(t);
    const splitter = new FrameSplitter(MAX);
    push(splitter, 'secret');
    assert.ok([...buffers].some((buffer) => !isZero(new Uint8Array(buffer))));
    splitter.wipe();
    assert.ok([...buffers].every((buffer) => isZero(new Uint8Array(buffer))));
    assert.equal(givenBack.size, 1, 'its memory is given back at once');
    assert.equal(splitter.pendingBytes, 0);
    assert.deepEqual(push(splitter, 'one\0'), ['one']);
  });

  it('refuses a limit that is no size', () => {
    for (const limit of [-1, 0.5, NaN, Infinity]) assert.throws(() => new FrameSplitter(limit), RangeError);
  });
});
