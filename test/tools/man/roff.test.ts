import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bold, escapeText, inline, item, literal, paragraph, title } from '../../../tools/man/roff.ts';
import { command, skipUnless } from '../../support/requirements.ts';

const TITLE = title('test', 7, '2026-11-22', 'test', 'test');

/** A line length at which nothing is wrapped. */
const WIDTH = 4000;

/** The number of texts in one document, since starting groff takes longer than rendering all of them. */
const SAMPLES = 400;

/** Text that troff could misread: its special characters, names, requests, and their escapes. */
const hostileWord: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('.', '..', "'", '.SH', "'br", '\\', '\\\\', '\\n', '\\fB', '\\(', '\\[', '\\"', '.\\"', '.so', '\\&'),
  fc.constantFrom('-', '--json', '-----BEGIN', '"', '`', '^', '~', '%', '@', '#', '\\s-10', '.if', '\\e', '\\*', '\\k'),
  fc.constantFrom(
    'restic(1)',
    'é',
    '日本',
    '→',
    '…',
    '\u2010',
    '$PATH',
    "it's",
    'a.',
    'b?',
    'c:',
    '{{x}}',
    '.EE',
    '.RE',
  ),
  fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(...printableAscii()) }),
);
const hostileText: fc.Arbitrary<string> = fc
  .array(hostileWord, { minLength: 1, maxLength: 30 })
  .map((words) => words.join(' ').replaceAll(/\s+/g, ' ').trim())
  .filter((text) => text !== '');

function printableAscii(): string[] {
  return Array.from({ length: 0x7f - 0x20 }, (_, index) => String.fromCodePoint(0x20 + index));
}

/** Returns the lines that a reader of the page sees, without bold and italics, and groff's warnings. */
function read(page: string): { readonly lines: readonly string[]; readonly complaints: string } {
  const args = ['-Tutf8', '-ww', '-man', '-P-cbou', `-rLL=${WIDTH}n`];
  const { stdout, stderr, error } = spawnSync('groff', args, { input: page, encoding: 'utf8' });
  if (error !== undefined) throw error;
  const lines = stdout.split('\n').filter((line) => line.trim() !== '');
  // The first line is the title, the last one the footer.
  return { lines: lines.slice(1, -1).map((line) => line.trim()), complaints: stderr };
}

describe('troff', { skip: skipUnless(command('groff', 'groff-base')) }, () => {
  it('shows a paragraph verbatim, whatever characters it has', () => {
    const texts = fc.sample(hostileText, SAMPLES);
    const { lines, complaints } = read(TITLE + texts.map((text) => paragraph(escapeText(text))).join(''));
    assert.equal(complaints, '');
    assert.deepEqual(
      lines.map((line) => line.replaceAll(/ +/g, ' ')),
      texts,
    );
  });

  it('shows an example verbatim, line by line', () => {
    const texts = fc.sample(hostileText, SAMPLES);
    const { lines, complaints } = read(TITLE + literal(texts));
    assert.equal(complaints, '');
    assert.deepEqual(lines, texts);
  });

  it('shows terms and bold text verbatim', () => {
    const texts = fc.sample(hostileText, SAMPLES);
    const { lines, complaints } = read(TITLE + texts.map((text) => item(bold(text), bold(text))).join(''));
    assert.equal(complaints, '');
    // A short term is on the same line as its text.
    assert.equal(lines.join(' ').replaceAll(/ +/g, ' '), texts.flatMap((text) => [text, text]).join(' '));
  });

  it('shows prose without its backticks, and titles with their quotes', () => {
    const { lines, complaints } = read(
      title('a "b" \\', 1, '2026-11-22', '', '') + paragraph(inline('`--x` and `.y` of restic(1), `alone')),
    );
    assert.equal(complaints, '');
    assert.deepEqual(lines, ['--x and .y of restic(1), `alone']);
  });
});

describe('escapeText()', () => {
  it('returns ASCII only, on one line, and nothing that begins a request', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const page = paragraph(escapeText(text));
        assert.match(page, /^(?:\.PP\n(?:[\x20-\x7e]+\n)+)?$/);
        for (const line of page.split('\n').slice(1)) assert.doesNotMatch(line, /^[.']/);
      }),
    );
  });
});
