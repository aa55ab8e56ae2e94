import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MESSAGE_PARTS_MAX } from '../../../daemon/socket/limits.ts';
import { parseMessage } from '../../../daemon/socket/parse-message.ts';
import { ITEMS_PER_CALL_MAX, MESSAGE_BYTES_MAX } from '../../../src/limits.ts';

const TOO_LARGE = { name: 'CredentialError', code: 'TooLarge', fields: { limit: MESSAGE_PARTS_MAX } };

/** Elements that fill a message, each of which would become an object or a property name in V8. */
const FILLERS = ['{}', '[]', '0', '""', 'null', '1e9', '{"":0}', '"\\""', '"\\\\"'];

describe('parseMessage', () => {
  it('returns what JSON.parse returns, whatever the strings contain', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.string({ unit: fc.constantFrom('"', '\\', ',', '{', '[', 'é') }),
        (value, text) => {
          // Long enough for the parts to be counted.
          const json = JSON.stringify({ text, value, long: 'x'.repeat(MESSAGE_PARTS_MAX), after: [text] });
          assert.deepEqual(parseMessage(Buffer.from(json)), JSON.parse(json));
        },
      ),
    );
  });

  it('accepts a string of any bytes', () => {
    for (const part of [',', '[', '{', '"', '\\', '\u0001', '\u2028', 'x', 'x",', '\\",', '",\\']) {
      const text = part.repeat(1024 * 1024);
      assert.equal(parseMessage(Buffer.from(JSON.stringify(text))), text);
    }
  });

  it('accepts as many items as a call may have', () => {
    const items = Array.from({ length: ITEMS_PER_CALL_MAX }, (_, index) => ({
      name: `n${index}`,
      value: ',"[{',
      data: null,
    }));
    assert.deepEqual(parseMessage(Buffer.from(JSON.stringify({ parameters: { items } }))), { parameters: { items } });
  });

  it('accepts as many parts as allowed, and not one more', () => {
    const listOf = (length: number): number[] => Array.from({ length }, () => 0);
    // The bracket, and the commas between the elements.
    const most = JSON.stringify(listOf(MESSAGE_PARTS_MAX));
    assert.deepEqual(parseMessage(Buffer.from(most)), listOf(MESSAGE_PARTS_MAX));
    assert.deepEqual(parseMessage(Buffer.from(`${' '.repeat(MESSAGE_PARTS_MAX)}${most}`)), listOf(MESSAGE_PARTS_MAX));
    const more = JSON.stringify(listOf(MESSAGE_PARTS_MAX + 1));
    assert.throws(() => parseMessage(Buffer.from(more)), TOO_LARGE);
  });

  it('returns undefined for null, as for text that is not JSON', () => {
    for (const text of ['null', ' null ', 'nil', '']) assert.equal(parseMessage(Buffer.from(text)), undefined);
  });

  for (const filler of FILLERS) {
    it(`refuses a message full of ${filler} before objects are made from it`, () => {
      const elements = Math.floor(MESSAGE_BYTES_MAX / (filler.length + 1)) - 1;
      const bytes = Buffer.from(`[${`${filler},`.repeat(elements)}0]`);
      assert.throws(() => parseMessage(bytes), TOO_LARGE);
    });
  }

  it('refuses text with too many parts even if it is not JSON', () => {
    for (const part of ['[', '{', ',', '"', '""', '{"":', '\u0000[']) {
      const bytes = Buffer.from(part.repeat(3 * MESSAGE_PARTS_MAX));
      assert.throws(() => parseMessage(bytes), TOO_LARGE, part);
    }
  });
});
