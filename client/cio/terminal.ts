import { fstatSync } from 'node:fs';
import { STDOUT } from './file-descriptors.ts';

/** Major number of the memory devices, /dev/null among them (null(4)). */
const MEMORY_DEVICES = 1;

/** Where /dev/null is: its number on every Linux, major and minor (null(4)). */
const NULL_DEVICE = 0x103;

/** Columns of a terminal that does not say how many it has. */
export const COLUMNS = 80;

/** Tells whether a descriptor is a terminal. `node:tty`, which brings all of `node:net`, is loaded only if it may be. */
export function isTerminal(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isCharacterDevice() || ((stat.rdev >> 8) & 0xfff) === MEMORY_DEVICES) return false;
  } catch {
    return false;
  }
  return process.getBuiltinModule('node:tty').isatty(descriptor);
}

/** Tells whether what is written there is lost; in the place of a descriptor that was closed, Node opens /dev/null. */
export function isNull(descriptor: number): boolean {
  return fstatSync(descriptor).rdev === NULL_DEVICE;
}

/** Tells whether what is written there may be coloured: on a terminal whose user wants it (https://no-color.org). */
export function isColoured(descriptor: number): boolean {
  return !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb' && isTerminal(descriptor);
}

/** Columns of the terminal that standard output is; undefined where it is none. */
export function terminalWidth(): number | undefined {
  return isTerminal(STDOUT) ? process.stdout.columns || COLUMNS : undefined;
}
