import { encode, renderUnicodeCompact } from 'uqr';
import { hasUnicode } from '../signs.ts';
import { formatTime } from '../time.ts';

/** Columns of a page that every printer takes. */
const PAGE_WIDTH = 80;

/** Light modules around the code that a reader needs: four on each side (ISO/IEC 18004, "quiet zone"). */
const QUIET_ZONE = 4;

/** What is said of the store on the page. */
export interface RecoveryPage {
  readonly code: string;
  readonly slot: string;
  readonly storeId: string | undefined;
  readonly host: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
}

/**
 * A page of plain text, for paper: the code in groups and as a QR code, what it is for, and how it is used.
 *
 * @param isPainted the QR code has colours of its own, for a terminal that may be light on dark
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
    '  U do not occur; the last four characters show a slip of the pen.',
    '',
    ...qrLines(code, isPainted),
    '',
    'WHAT IT IS FOR',
    '',
    '  It opens the store where its key file, its TPM or its passphrase is lost.',
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
    '  When somebody else may have seen it, make another one and remove this:',
    '',
    '    cio credential slot add recovery --print',
    `    cio credential slot remove ${slot}`,
    '',
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * The code as half blocks, of which one line of text has two rows: dark on light, as paper is. It is the code alone,
 * with its dashes, so that what a reader shows can be typed or pasted as it is.
 */
function qrLines(code: string, isPainted: boolean): string[] {
  if (!hasUnicode(process.env)) return asciiQrLines(code, isPainted);
  const rows = renderUnicodeCompact(code, { ecc: 'M', border: QUIET_ZONE, invert: true }).split('\n');
  return rows.map((row) => (isPainted ? `    \u001b[30;107m${row}\u001b[0m` : `    ${row}`.trimEnd()));
}

/** The same of two characters for each module, which are about square, where the locale has no blocks. */
function asciiQrLines(code: string, isPainted: boolean): string[] {
  const [dark, light] = isPainted ? ['\u001b[40m  ', '\u001b[107m  '] : ['##', '  '];
  const { data } = encode(code, { ecc: 'M', border: isPainted ? QUIET_ZONE : 0 });
  const end = isPainted ? '\u001b[0m' : '';
  return data.map((row) => `  ${row.map((isDark) => (isDark ? dark : light)).join('')}${end}`.trimEnd());
}
