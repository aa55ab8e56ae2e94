import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatTable } from '../../../client/cio/table.ts';
import { widthOf } from '../../../client/cio/text.ts';
import { anyText } from '../../src/any-text.ts';

const COLUMNS = [{ title: 'NAME' }, { title: 'VALUE', isElastic: true }] as const;

describe('formatTable()', () => {
  it('pads the columns, and leaves no spaces at the end of a line', () => {
    const rows = [
      ['cio_aws_access_key', 'AKIA'],
      ['x', '日本'],
    ];
    assert.equal(
      formatTable(COLUMNS, rows, undefined),
      'NAME                VALUE\ncio_aws_access_key  AKIA\nx                   日本\n',
    );
  });

  it('shortens the elastic column to the terminal, and no other', () => {
    const name = 'n'.repeat(60);
    const lines = formatTable(COLUMNS, [[name, 'v'.repeat(100)]], 80).split('\n');
    assert.equal(lines[1], `${name}  ${'v'.repeat(17)}…`);
    assert.equal(formatTable(COLUMNS, [[name, 'v'.repeat(100)]], 20).split('\n')[1], `${name}  ${'v'.repeat(7)}…`);
    assert.equal(formatTable(COLUMNS, [[name, 'v'.repeat(100)]], undefined).split('\n')[1]?.length, 162);
  });

  it('keeps every cell on its line, whatever is in it', () => {
    fc.assert(
      fc.property(anyText, anyText, fc.integer({ min: 30, max: 200 }), (name, value, width) => {
        const lines = formatTable(
          [{ title: 'N' }, { title: 'V', isElastic: true }],
          [[name.slice(0, 2), value]],
          width,
        ).split('\n');
        assert.equal(lines.length, 3);
        assert.ok(lines.every((line) => widthOf(line) <= width));
      }),
    );
  });
});
