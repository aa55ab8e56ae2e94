import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MESSAGE_PARTS_MAX } from '../../../daemon/socket/limits.ts';
import { parseMessage } from '../../../daemon/socket/parse-message.ts';
import { ITEMS_PER_CALL_MAX, MESSAGE_BYTES_MAX } from '../../../src/limits.ts';

const TOO_LARGE = { name: 'CredentialError', code: 'TooLarge', fields: { limit: MESSAGE_PARTS_MAX } };

/** Elements that fill a message, each of which would be an object, or a name, of V8's. */
const FILLERS = ['{}', '[]', '0', '""', 'null', '1e9', '{"":0}', '"\\""', '"\\\\"'];

describe('parseMessage', () => {
  it('says what JSON.parse says, whatever is in the texts', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.string({ unit: fc.constantFrom('"', '\\', ',', '{', '[', 'é') }),
        (value, text) => {
          // Long enough to be looked at.
          const json = JSON.stringify({ text, value, long: 'x'.repeat(MESSAGE_PARTS_MAX), after: [text] });
          assert.deepEqual(parseMessage(Buffer.from(json)), JSON.parse(json));
        },
      ),
    );
  });

  it('takes a text of any bytes', () => {
    for (const part of [',', '[', '{', '"', '\\', '\u0001', '\u2028', 'x', 'x",', '\\",', '",\\']) {
      const text = part.repeat(1024 * 1024);
      assert.equal(parseMessage(Buffer.from(JSON.stringify(text))), text);
    }
  });

  it('takes as many items as a call may have', () => {
    const items = Array.from({ length: ITEMS_PER_CALL_MAX }, (_, index) => ({
      name: `n${index}`,
      value: ',"[{',
      data: null,
    }));
    assert.deepEqual(parseMessage(Buffer.from(JSON.stringify({ parameters: { items } }))), { parameters: { items } });
  });

  it('takes as many parts as are allowed, and not one more', () => {
    const listOf = (length: number): number[] => Array.from({ length }, () => 0);
    // The bracket, and the commas between them.
    const most = JSON.stringify(listOf(MESSAGE_PARTS_MAX));
    assert.deepEqual(parseMessage(Buffer.from(most)), listOf(MESSAGE_PARTS_MAX));
    assert.deepEqual(parseMessage(Buffer.from(`${' '.repeat(MESSAGE_PARTS_MAX)}${most}`)), listOf(MESSAGE_PARTS_MAX));
    const more = JSON.stringify(listOf(MESSAGE_PARTS_MAX + 1));
    assert.throws(() => parseMessage(Buffer.from(more)), TOO_LARGE);
  });

  it('says nothing of null, as of what is no JSON', () => {
    for (const text of ['null', ' null ', 'nil', '']) assert.equal(parseMessage(Buffer.from(text)), undefined);
  });

  for (const filler of FILLERS) {
    it(`refuses a message full of ${filler} before it is made into objects`, () => {
      const elements = Math.floor(MESSAGE_BYTES_MAX / (filler.length + 1)) - 1;
      const bytes = Buffer.from(`[${`${filler},`.repeat(elements)}0]`);
      assert.throws(() => parseMessage(bytes), TOO_LARGE);
    });
  }

  it('refuses what has too many parts and is no JSON', () => {
    for (const part of ['[', '{', ',', '"', '""', '{"":', '\u0000[']) {
      const bytes = Buffer.from(part.repeat(3 * MESSAGE_PARTS_MAX));
      assert.throws(() => parseMessage(bytes), TOO_LARGE, part);
    }
  });
});
