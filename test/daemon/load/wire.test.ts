import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { PLAIN_WIRE, SEALED_WIRE } from '../../../daemon/load/wire.ts';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';

/** `CREDENTIAL_SIZE_MAX` and `CREDENTIAL_ENCRYPTED_SIZE_MAX` of systemd. */
const PLAIN_MAX = 1024 * 1024;
const SEALED_MAX = 1024 * 1024 + 128 * 1024;

/** What an envelope adds: the header, the metadata with a name of two bytes, and the tag. */
const ADDED_BYTES = 48 + 24 + 16;

/** Makes a value whose envelope has the given length in base64, a multiple of four. */
function valueFor(textBytes: number): Uint8Array {
  return Buffer.alloc((textBytes / 4) * 3 - ADDED_BYTES, 'x');
}

/** Records the base64 texts made during a test, so that it can inspect them. */
function textsMade(t: TestContext): Buffer[] {
  const texts: Buffer[] = [];
  const from = Buffer.from.bind(Buffer) as (source: string, encoding?: BufferEncoding) => Buffer;
  t.mock.method(Buffer, 'from', (source: string, encoding?: BufferEncoding) => {
    const bytes = from(source, encoding);
    if (encoding === 'latin1') texts.push(bytes);
    return bytes;
  });
  return texts;
}

describe('PLAIN_WIRE', () => {
  it('copies the bytes of the value, and refuses with more bytes than a credential may have', () => {
    const value = Buffer.alloc(VALUE_BYTES_MAX, 'x');
    const bytes = PLAIN_WIRE.encode('id', value);
    assert.deepEqual(bytes, Uint8Array.from(value));
    value.fill(0);
    assert.equal(bytes?.[0], 'x'.charCodeAt(0));
    assert.equal(PLAIN_WIRE.refusal.length, PLAIN_MAX + 1);
  });
});

describe('SEALED_WIRE', () => {
  it('makes of every value a text that no plain credential can be, up to the size that systemd accepts', () => {
    for (const [textBytes, length] of [
      [ADDED_BYTES * 4, PLAIN_MAX + 1],
      [PLAIN_MAX - 4, PLAIN_MAX + 1],
      [PLAIN_MAX, PLAIN_MAX + 1],
      [PLAIN_MAX + 4, PLAIN_MAX + 4],
      [SEALED_MAX, SEALED_MAX],
      [SEALED_MAX + 4, undefined],
    ] as const) {
      const bytes = SEALED_WIRE.encode('id', valueFor(textBytes));
      assert.equal(bytes?.length, length, `${textBytes}`);
      if (bytes === undefined) continue;
      const text = Buffer.from(bytes).toString('latin1');
      assert.match(text.slice(0, textBytes), /^[A-Za-z0-9+/]*=*$/);
      assert.match(text.slice(textBytes), /^\n*$/);
    }
    assert.equal(SEALED_WIRE.refusal.length, SEALED_MAX + 1);
  });

  it('wipes an envelope that it copies or does not send', (t) => {
    const texts = textsMade(t);
    SEALED_WIRE.encode('id', Buffer.from('value'));
    SEALED_WIRE.encode('id', valueFor(SEALED_MAX + 4));
    assert.equal(texts.length, 2);
    for (const text of texts) assert.ok(text.every((byte) => byte === 0));
  });
});
