import { encode, renderUnicodeCompact } from 'uqr';
import { hasUnicode } from '../signs.ts';
import { formatTime } from '../time.ts';

/** Columns that fit on a page of every printer. */
const PAGE_WIDTH = 80;

/** Light modules that a reader needs around the code, on each side (ISO/IEC 18004, "quiet zone"). */
const QUIET_ZONE = 4;

/** The contents of a recovery page. */
export interface RecoveryPage {
  readonly code: string;
  readonly slot: string;
  readonly storeId: string | undefined;
  readonly host: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
}

/**
 * Formats a page of plain text to print on paper: the code in groups and as a QR code, its purpose, and its use.
 *
 * @param isPainted the QR code sets its own colours, for a terminal that may show light text on dark
 */
export function formatRecoveryPage(page: RecoveryPage, isPainted: boolean): string {
  const { code, slot, storeId, host, created } = page;
  const lines = [
    'RECOVERY CODE OF A CREDENTIAL STORE',
    '='.repeat(PAGE_WIDTH),
    '',
    'Whoever has this page and a copy of the store has every credential in it.',
    'Keep it away from the host and from its backups, where no camera sees it.',
    '',
    `  Host     ${host}`,
    ...(storeId === undefined ? [] : [`  Store    ${storeId}`]),
    `  Slot     ${slot}`,
    `  Made     ${formatTime(created)}`,
    '',
    '  Code',
    '',
    `    ${code}`,
    '',
    '  Upper and lower case, spaces and dashes do not matter. The letters I, L, O and',
    '  U do not occur; the last four characters reveal typing mistakes.',
    '',
    ...qrLines(code, isPainted),
    '',
    'WHAT IT IS FOR',
    '',
    '  It opens the store when its key file, its TPM or its passphrase is lost.',
    '',
    '  On this host, with a store that is locked:',
    '',
    '    cio credential unlock --recovery',
    '',
    '  On another host, with a copy that "cio credential backup" made:',
    '',
    '    cio credential restore FILE --recovery',
    '    cio credential slot add keyfile /var/lib/cio-credentiald/recovered.key',
    '',
    '  If somebody else may have seen it, make another one and remove this one:',
    '',
    '    cio credential slot add recovery --print',
    `    cio credential slot remove ${slot}`,
    '',
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * Draws the QR code in half blocks, two rows of modules in a line of text: dark on light, as on paper. It contains only
 * the code with its dashes, so that a reader's output can be typed or pasted unchanged.
 */
function qrLines(code: string, isPainted: boolean): string[] {
  if (!hasUnicode(process.env)) return asciiQrLines(code, isPainted);
  const rows = renderUnicodeCompact(code, { ecc: 'M', border: QUIET_ZONE, invert: true }).split('\n');
  return rows.map((row) => (isPainted ? `    \u001b[30;107m${row}\u001b[0m` : `    ${row}`.trimEnd()));
}

/** Draws the QR code for a locale without block characters: two characters, which are about square, for each module. */
function asciiQrLines(code: string, isPainted: boolean): string[] {
  const [dark, light] = isPainted ? ['\u001b[40m  ', '\u001b[107m  '] : ['##', '  '];
  const { data } = encode(code, { ecc: 'M', border: isPainted ? QUIET_ZONE : 0 });
  const end = isPainted ? '\u001b[0m' : '';
  return data.map((row) => `  ${row.map((isDark) => (isDark ? dark : light)).join('')}${end}`.trimEnd());
}
