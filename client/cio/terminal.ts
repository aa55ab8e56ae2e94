import { fstatSync } from 'node:fs';
import { STDOUT } from './file-descriptors.ts';

/** Major number of the memory devices, /dev/null among them (null(4)). */
const MEMORY_DEVICES = 1;

/** Device number of /dev/null, major and minor, on every Linux (null(4)). */
const NULL_DEVICE = 0x103;

/** Columns of a terminal that does not report its width. */
export const COLUMNS = 80;

/** Tells whether a descriptor is a terminal. `node:tty`, which pulls in `node:net`, is loaded only if it may be one. */
export function isTerminal(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isCharacterDevice() || ((stat.rdev >> 8) & 0xfff) === MEMORY_DEVICES) return false;
  } catch {
    return false;
  }
  return process.getBuiltinModule('node:tty').isatty(descriptor);
}

/** Tells whether a descriptor is /dev/null, which Node also opens in place of a closed standard stream. */
export function isNullDevice(descriptor: number): boolean {
  return fstatSync(descriptor).rdev === NULL_DEVICE;
}

/** Tells whether output may be coloured: on a terminal, unless the user does not want it (https://no-color.org). */
export function isColoured(descriptor: number): boolean {
  return !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb' && isTerminal(descriptor);
}

/** Returns the width of standard output in columns, or undefined if it is not a terminal. */
export function terminalWidth(): number | undefined {
  return isTerminal(STDOUT) ? process.stdout.columns || COLUMNS : undefined;
}
