import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatTable, formatTableOrRecords } from '../../../client/cio/table.ts';
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

  it('shortens only the elastic column to fit the terminal', () => {
    const name = 'n'.repeat(60);
    const lines = formatTable(COLUMNS, [[name, 'v'.repeat(100)]], 80).split('\n');
    assert.equal(lines[1], `${name}  ${'v'.repeat(17)}…`);
    assert.equal(formatTable(COLUMNS, [[name, 'v'.repeat(100)]], 20).split('\n')[1], `${name}  ${'v'.repeat(7)}…`);
    assert.equal(formatTable(COLUMNS, [[name, 'v'.repeat(100)]], undefined).split('\n')[1]?.length, 162);
  });

  it('keeps every cell on its line, for any content', () => {
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

  it('continues a wrapped column on the next line, in whole words', () => {
    const columns = [{ title: 'SET' }, { title: 'STATE', isWrapped: true }] as const;
    const rows = [['aws', 'failed 5 minutes ago: key (access denied); last good 3 hours ago']];
    assert.equal(
      formatTable(columns, rows, 40),
      ['SET  STATE', 'aws  failed 5 minutes ago: key (access', '     denied); last good 3 hours ago', ''].join('\n'),
    );
    assert.equal(formatTable(columns, rows, undefined).split('\n').length, 3);
  });
});

describe('formatTableOrRecords()', () => {
  const columns = [{ title: 'NAME' }, { title: 'OWNER' }, { title: 'VALUE', isElastic: true }] as const;

  it('returns a table if it fits', () => {
    const rows = [['cio_aws_access_key', 'shared', 'AKIA']];
    assert.equal(formatTableOrRecords(columns, rows, 80), formatTable(columns, rows, 80));
    assert.equal(formatTableOrRecords(columns, rows, undefined), formatTable(columns, rows, undefined));
  });

  it('puts each cell on a line of its own where no table fits', () => {
    const rows = [
      ['cio_aws_alt_access_key', 'shared', 'AKIA'],
      ['x', 'shared', 'a value of some length that has to go on'],
    ];
    assert.equal(
      formatTableOrRecords(columns, rows, 30),
      [
        'NAME   cio_aws_alt_access_key',
        'OWNER  shared',
        'VALUE  AKIA',
        '',
        'NAME   x',
        'OWNER  shared',
        'VALUE  a value of some length',
        '       that has to go on',
        '',
      ].join('\n'),
    );
  });

  it('is never wider than the terminal, for any content', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyText, anyText, anyText)), fc.integer({ min: 16, max: 90 }), (rows, width) => {
        const lines = formatTableOrRecords(columns, rows, width).split('\n');
        assert.ok(lines.every((line) => widthOf(line) <= width));
      }),
    );
  });
});
