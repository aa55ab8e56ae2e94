import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { formatRecoveryPage } from '../../../../client/cio/recovery/recovery-page.ts';
import { run } from '../../../support/process.ts';
import { command, skipUnless } from '../../../support/requirements.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { withLocale } from '../with-locale.ts';

const CODE = '88S5XQ-BYM4Z5-SYG9AD-FTHCMA-F51AQA-Z06G0B';
const PAGE = {
  code: CODE,
  slot: '32b8f336',
  storeId: '76bb1eff-3c17-4f3b-93ae-7d935d8e5b8a',
  host: 'backup1',
  created: 0,
};

/** zbarimg reads QR codes from pictures. */
const ZBAR = command('zbarimg', 'zbar-tools');

const MODULE_PIXELS = 6;
/** Width of the blank margin around the page, in QR modules. */
const MARGIN = 8;

/** Renders a page as a PGM picture: each character is one module wide and two high. */
function pictureOf(page: string): Buffer {
  const rows = page.split('\n').filter((row) => /[▀▄█]/.test(row));
  const width = Math.max(...rows.map((row) => row.length)) + 2 * MARGIN;
  const blank = Array.from({ length: MARGIN }, () => '');
  const lines = [...blank, ...rows, ...blank].flatMap((row) => {
    const cells = `${' '.repeat(MARGIN)}${row}`.padEnd(width).split('');
    return ['▀█', '▄█'].map((dark) => cells.map((cell) => (dark.includes(cell) ? 0 : 255)));
  });
  const pixels = lines.flatMap((line) => {
    const row = line.flatMap((pixel) => Array.from({ length: MODULE_PIXELS }, () => pixel));
    return Array.from({ length: MODULE_PIXELS }, () => row).flat();
  });
  const header = `P5 ${width * MODULE_PIXELS} ${lines.length * MODULE_PIXELS} 255\n`;
  return Buffer.concat([Buffer.from(header), Buffer.from(pixels)]);
}

/** Converts the QR code of an ASCII page to half blocks. */
function blocksOf(page: string): string {
  const rows = page.split('\n').filter((row) => row.includes('##'));
  const dark = rows.map((row) => row.padEnd(80).replaceAll(/(.)./g, '$1'));
  const pairs = Array.from({ length: Math.ceil(dark.length / 2) }, (_, index) => dark.slice(2 * index, 2 * index + 2));
  return pairs
    .map(([upper = '', lower = '']) =>
      Array.from(
        upper,
        (cell, column) => ({ '##': '█', '# ': '▀', ' #': '▄' })[`${cell}${lower[column] ?? ' '}`] ?? ' ',
      ).join(''),
    )
    .join('\n');
}

describe('formatRecoveryPage()', () => {
  it('has everything that a restore needs, and fits on one page', () => {
    const page = formatRecoveryPage(PAGE, false);
    for (const text of [CODE, PAGE.slot, PAGE.storeId, PAGE.host, '1970-01-01', 'unlock --recovery', 'restore FILE']) {
      assert.ok(page.includes(text), text);
    }
    const lines = page.split('\n');
    assert.ok(lines.every((line) => line.length <= 80 && line === line.trimEnd()));
    assert.ok(lines.length <= 66, `${lines.length} lines`);
    assert.ok(!formatRecoveryPage({ ...PAGE, storeId: undefined }, false).includes('undefined'));
  });

  it('sets black on white explicitly on a terminal', () => {
    const painted = formatRecoveryPage(PAGE, true)
      .split('\n')
      .filter((line) => /[▀▄█]/.test(line));
    assert.ok(painted.length > 10);
    for (const line of painted) assert.match(line, /^ {4}\u001b\[30;107m[ ▀▄█]+\u001b\[0m$/);
  });

  for (const [locale, toBlocks] of [
    ['C.UTF-8', (page: string) => page],
    ['C', blocksOf],
  ] as const) {
    it(
      `has a QR code that a reader decodes to the recovery code, in ${locale}`,
      { skip: skipUnless(ZBAR) },
      async (t) => {
        withLocale(t, locale);
        const file = path.join(temporaryDirectory(t), 'page.pgm');
        fs.writeFileSync(file, pictureOf(toBlocks(formatRecoveryPage(PAGE, false))));
        const { stdout } = await run(['zbarimg', '--quiet', '--raw', file]);
        assert.equal(stdout.toString(), `${CODE}\n`);
      },
    );
  }

  it('is pure ASCII where the locale has no more, and fits on paper and on a terminal', (t) => {
    withLocale(t, 'C');
    for (const isPainted of [false, true]) {
      const lines = formatRecoveryPage(PAGE, isPainted).split('\n');
      for (const line of lines) {
        const shown = line.replaceAll(/\u001b\[\d+m/g, '');
        assert.match(shown, /^[ -~]*$/);
        assert.ok(shown.length <= 80);
      }
      if (!isPainted) assert.ok(lines.every((line) => line === line.trimEnd()));
    }
  });
});
