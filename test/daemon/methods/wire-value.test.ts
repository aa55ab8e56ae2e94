import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fromWire, toWire } from '../../../daemon/methods/wire-value.ts';
import { CredentialError } from '../../../src/errors.ts';
import { MESSAGE_BYTES_MAX, VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { anyText } from '../../src/any-text.ts';

describe('toWire()', () => {
  it('returns text as value, and bytes that are not UTF-8 as data', () => {
    assert.deepEqual(toWire(Buffer.from('pä\0ss')), { value: 'pä\0ss' });
    assert.deepEqual(toWire(Uint8Array.of(0xff, 0xfe)), { data: '//4=' });
    assert.deepEqual(toWire(Buffer.from([0xed, 0xa0, 0x80])), { data: '7aCA' });
  });

  it('keeps a byte order mark, which is a part of the value', () => {
    assert.deepEqual(toWire(Buffer.from([0xef, 0xbb, 0xbf, 0x61])), { value: '\ufeffa' });
  });

  it('looks only at the bytes it was given, not at the ones around them', () => {
    const bytes = Uint8Array.of(0xff, 0x61, 0x62, 0xff);
    assert.deepEqual(toWire(bytes.subarray(1, 3)), { value: 'ab' });
  });

  it('leaves the bytes unchanged', () => {
    const bytes = Buffer.from('secret');
    toWire(bytes);
    assert.equal(bytes.toString(), 'secret');
  });

  for (const [what, byte] of [
    ['control characters, which JSON writes with six', 1],
    ['quotes', 0x22],
    ['bytes that are not text', 0xff],
  ] as const) {
    it(`makes at most the size of a message from 1 MiB of ${what}`, () => {
      const wire = toWire(Buffer.alloc(VALUE_BYTES_MAX, byte));
      assert.ok(JSON.stringify(wire).length < MESSAGE_BYTES_MAX - 1024);
    });
  }
});

describe('fromWire()', () => {
  it('is the inverse of toWire(), for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
        assert.deepEqual(Buffer.from(fromWire('a', toWire(bytes))), Buffer.from(bytes));
      }),
    );
  });

  it('returns any text as UTF-8', () => {
    fc.assert(
      fc.property(
        anyText.filter((text) => text !== ''),
        (value) => assert.deepEqual(fromWire('a', { value }), Buffer.from(value)),
      ),
    );
  });

  it('refuses all data but the canonical base64 of some bytes', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('A', 'B', '/', '+', '=', '-', '\n'), minLength: 1, maxLength: 8 }),
        (data) => {
          let bytes: Uint8Array;
          try {
            bytes = fromWire('a', { data });
          } catch (error) {
            assert.ok(error instanceof CredentialError && error.code === 'InvalidValue');
            return;
          }
          assert.equal(Buffer.from(bytes).toString('base64'), data);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('returns bytes that only the caller holds, to be wiped', () => {
    const first = fromWire('a', { value: 'x'.repeat(100) });
    const second = fromWire('a', { value: 'x'.repeat(100) });
    first.fill(0);
    assert.equal(Buffer.from(second).toString(), 'x'.repeat(100));
  });

  it('refuses an unpaired surrogate, which has no form in UTF-8', () => {
    assert.throws(() => fromWire('a', { value: '\udc00' }), { code: 'InvalidValue' });
  });
});
