import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatSet, readSetChanges, type EditedSet } from '../../../../client/cio/edit/set-document.ts';
import { ImportError } from '../../../../src/import/import-error.ts';
import { PROVIDERS } from '../../../../src/providers/registry.ts';

function setOf(values: Readonly<Record<string, string>>): EditedSet {
  return { set: 'aws', provider: PROVIDERS.get('aws'), values: new Map(Object.entries(values)), binary: [] };
}

describe('formatSet() and readSetChanges()', () => {
  it('bring back any text as it was', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.string({
        unit: fc.constantFrom(...'\n\r\t \\"\':#-|>!&*%@`{}[],?~=0a\u0085\u2028\ufeff'.split('')),
        minLength: 1,
      }),
      fc.constantFrom(
        'null',
        '~',
        'true',
        '0x10',
        '1e3',
        '<<',
        '---',
        '...',
        '- a',
        '\n',
        ' ',
        'a\n',
        '\na',
        'a\n\n',
        ' a\nb',
        '#',
      ),
    );
    fc.assert(
      fc.property(value, (text) => {
        const edited = setOf({ backup_password: text, access_key: 'AK' });
        assert.deepEqual(readSetChanges(formatSet(edited, ['a remark\nof two lines']), edited), new Map());
      }),
      { numRuns: 500 },
    );
  });

  it('give what was changed and added', () => {
    const edited = setOf({ access_key: 'AK', region: 'r1' });
    const text = formatSet(edited, []).replace('region: r1', 'region: r2').replace('#bucket:', 'bucket: b1');
    assert.deepEqual(
      readSetChanges(text, edited),
      new Map([
        ['region', 'r2'],
        ['bucket', 'b1'],
      ]),
    );
  });

  it('throw nothing but ImportError, whatever was typed', () => {
    const edited = setOf({ access_key: 'AK', region: 'r1' });
    const text = formatSet(edited, []);
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(20), fc.string(), (at, drop, typed) => {
        try {
          readSetChanges(text.slice(0, at) + typed + text.slice(at + drop), edited);
        } catch (error) {
          assert.ok(error instanceof ImportError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
