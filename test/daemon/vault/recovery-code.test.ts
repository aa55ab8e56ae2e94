import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { newRecoveryCode, parseRecoveryCode } from '../../../daemon/vault/recovery-code.ts';
import { withinCpuTime } from '../../support/cpu-time.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** The code of the twenty bytes 0 to 19 and its key, computed from docs/file-format.md by another program. */
const KNOWN = {
  code: '000G40-R40M30-E20918-5GR38E-1W8124-GKA062',
  key: 'f38025974f907094dfc93cdbccefdf13b8e45c684f87598cd54cc2c6ace15b3b',
};

const anyCode = fc.constant(undefined).map(() => newRecoveryCode());

function keyOf(code: string): string | undefined {
  const key = parseRecoveryCode(code);
  return key === undefined ? undefined : Buffer.from(key).toString('hex');
}

function mustParse(code: string): string {
  return keyOf(code) ?? assert.fail('it is refused');
}

describe('newRecoveryCode()', () => {
  it('makes six groups of six characters, all of them hard to confuse', () => {
    for (let count = 0; count < 50; count += 1) {
      assert.match(newRecoveryCode(), /^[0-9A-HJKMNP-TV-Z]{6}(-[0-9A-HJKMNP-TV-Z]{6}){5}$/);
    }
  });

  it('makes a different code each time', () => {
    assert.equal(new Set(Array.from({ length: 200 }, newRecoveryCode)).size, 200);
  });
});

describe('parseRecoveryCode()', () => {
  it('returns a 32-byte key, always the same for a code, and different for another code', () => {
    const code = newRecoveryCode();
    assert.equal(mustParse(code).length, 64);
    assert.equal(mustParse(code), mustParse(code));
    assert.notEqual(mustParse(code), mustParse(newRecoveryCode()));
  });

  it('returns the key that the file format specifies', () => {
    assert.equal(mustParse(KNOWN.code), KNOWN.key);
  });

  it('ignores case, spaces and dashes, and accepts O, I and L for 0 and 1', () => {
    fc.assert(
      fc.property(anyCode, fc.infiniteStream(fc.nat()), (code, choices) => {
        const key = mustParse(code);
        const typed = Array.from(code.replaceAll('-', ''), (character) => {
          const [choice = 0] = choices.take(1);
          const forms = [character, character.toLowerCase(), ...(MISTAKEN[character] ?? [])];
          const gap = ['', '', '', '-', ' ', ' - ', '\n', '\t', '--'][choice % 9] ?? '';
          return gap + (forms[choice % forms.length] ?? '');
        });
        assert.equal(keyOf(typed.join('')), key);
      }),
    );
  });

  it('refuses every single wrong character', () => {
    const code = newRecoveryCode().replaceAll('-', '');
    let refused = 0;
    for (let index = 0; index < code.length; index += 1) {
      for (const other of ALPHABET) {
        if (other === code[index]) continue;
        const slip = code.slice(0, index) + other + code.slice(index + 1);
        if (parseRecoveryCode(slip) === undefined) refused += 1;
      }
    }
    // With 20 check bits, one mistake in a million passes, and gives a key that opens nothing.
    assert.ok(refused >= 36 * 31 - 1, `${refused}`);
  });

  it('refuses two swapped characters', () => {
    const code = newRecoveryCode().replaceAll('-', '');
    for (let index = 0; index + 1 < code.length; index += 1) {
      const [a = '', b = ''] = code.slice(index, index + 2);
      if (a === b) continue;
      assert.equal(keyOf(code.slice(0, index) + b + a + code.slice(index + 2)), undefined);
    }
  });

  it('refuses a code that is too short or too long', () => {
    const code = newRecoveryCode();
    for (const text of ['', '-', code.slice(0, -1), code.slice(1), `${code}0`, `0${code}`, `${code}-${code}`]) {
      assert.equal(keyOf(text), undefined);
    }
  });

  it('refuses characters outside its alphabet, and text that is not a code', () => {
    const code = newRecoveryCode();
    for (const other of ['U', 'u', '!', '\u0661', '\u{1f600}', '=', '\0', '\u212a', 'ı', 'ſ']) {
      assert.equal(keyOf(other + code.slice(1)), undefined, other);
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.equal(keyOf(text), undefined);
      }),
    );
  });

  it('takes time in proportion to a long text', () => {
    withinCpuTime(5000, () => {
      for (const unit of ['-', ' ', 'A', 'O-']) assert.equal(keyOf(unit.repeat(500_000)), undefined);
    });
  });
});

const MISTAKEN: Readonly<Record<string, readonly string[]>> = { '0': ['O', 'o'], '1': ['I', 'i', 'L', 'l'] };
