import { closeSync, constants, openSync } from 'node:fs';
import { CommandError } from '../command-error.ts';
import { libc } from './libc.ts';

/** open(2), ioctl_tty(2), termios(3); the same on x86-64 and ARM64. */
const O_CLOEXEC = 0o2000000;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const TCSANOW = 0;
const TCSADRAIN = 1;

/** sizeof(struct winsize), and no less than sizeof(struct termios), in bytes. */
const WINSIZE_BYTES = 8;
const TERMIOS_BYTES = 64;
/** Offset of `c_lflag`, after three words of four bytes, and its bit for keys that send signals. */
const LFLAG_OFFSET = 12;
const ISIG = 1;
const PATH_BYTES = 64;

const posixOpenpt = libc.func('int posix_openpt(int)');
const grantpt = libc.func('int grantpt(int)');
const unlockpt = libc.func('int unlockpt(int)');
const ptsnameR = libc.func('int ptsname_r(int, _Out_ uint8_t *, size_t)');
const tcgetattr = libc.func('int tcgetattr(int, _Out_ uint8_t *)');
const tcsetattr = libc.func('int tcsetattr(int, int, const uint8_t *)');
const cfmakeraw = libc.func('void cfmakeraw(_Inout_ uint8_t *)');
const tcgetpgrp = libc.func('int tcgetpgrp(int)');
const getpgrp = libc.func('int getpgrp()');
const ioctl = libc.func('int ioctl(int, unsigned long, ...)');

/** The descriptors of a pseudoterminal: the command uses the slave, and this process the master. */
export interface PseudoTerminal {
  readonly master: number;
  readonly slave: number;
}

/** Opens a pseudoterminal. Both descriptors are close-on-exec. @throws CommandError `ProgramFailed` */
export function openPseudoTerminal(): PseudoTerminal {
  const master = posixOpenpt(constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC) as number;
  const path = Buffer.alloc(PATH_BYTES);
  if (master < 0 || grantpt(master) !== 0 || unlockpt(master) !== 0 || ptsnameR(master, path, path.length) !== 0) {
    if (master >= 0) closeSync(master);
    throw new CommandError(
      'ProgramFailed',
      'cannot open a pseudoterminal for the command',
      'with --no-masking, it needs none',
    );
  }
  const slave = openSync(path.toString('latin1', 0, path.indexOf(0)), constants.O_RDWR | constants.O_NOCTTY);
  return { master, slave };
}

/** Copies the window size from one terminal to another. */
export function copySize(from: number, to: number): void {
  const size = Buffer.alloc(WINSIZE_BYTES);
  if (ioctl(from, TIOCGWINSZ, 'uint8_t *', size) === 0) ioctl(to, TIOCSWINSZ, 'uint8_t *', size);
}

/** Copies the modes and special characters from one terminal to another. */
export function copyModes(from: number, to: number): void {
  const modes = Buffer.alloc(TERMIOS_BYTES);
  if (tcgetattr(from, modes) === 0) tcsetattr(to, TCSANOW, modes);
}

/** Puts a terminal into raw mode. Returns a function that restores its modes, and can be called more than once. */
export function makeRaw(terminal: number): () => void {
  const before = Buffer.alloc(TERMIOS_BYTES);
  if (tcgetattr(terminal, before) !== 0) return () => undefined;
  const raw = Buffer.from(before);
  cfmakeraw(raw);
  tcsetattr(terminal, TCSADRAIN, raw);
  return () => void tcsetattr(terminal, TCSADRAIN, before);
}

/** Tells whether keys such as Ctrl-C send signals on a terminal. Works on either end of a pseudoterminal. */
export function makesSignals(terminal: number): boolean {
  const modes = Buffer.alloc(TERMIOS_BYTES);
  return tcgetattr(terminal, modes) === 0 && (modes.readUInt32LE(LFLAG_OFFSET) & ISIG) !== 0;
}

/** Tells whether this process is in the foreground of a terminal, and so may read its keys. */
export function isInForeground(terminal: number): boolean {
  return tcgetpgrp(terminal) === getpgrp();
}
