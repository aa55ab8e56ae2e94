import { CommandError } from './command-error.ts';
import { readLine, STDIN } from './file-descriptors.ts';
import type { Session } from './session.ts';
import { decodeAndWipe } from './decode-text.ts';

/** Longest passphrase or recovery code that is read from a pipe, in bytes. */
const PASSPHRASE_BYTES_MAX = 64 * 1024;

/** Shorter passphrases, in characters, get a warning (as by gpg-agent: `min-passphrase-len`). */
const PASSPHRASE_LENGTH_GOOD = 8;

/** Asks for a passphrase or recovery code; without a terminal, reads the first line of standard input. */
export async function readPassphrase(session: Session, question: string): Promise<string> {
  return session.prompter.canAsk ? session.prompter.ask(question, { isHidden: true }) : readPassphraseLine();
}

/** Asks for a new passphrase, which the user has to repeat on a terminal, and warns of a short one. */
export async function readNewPassphrase(session: Session, question: string): Promise<string> {
  const passphrase = session.prompter.canAsk ? await session.prompter.askNew(question) : readPassphraseLine();
  // As in UTF-16 text. A NUL could never be typed on a terminal again.
  if (passphrase.includes('\0')) throw new CommandError('NoValue', 'the line contains a NUL character');
  if (Array.from(passphrase).length < PASSPHRASE_LENGTH_GOOD) {
    session.warn(
      `a passphrase of fewer than ${PASSPHRASE_LENGTH_GOOD} characters can be guessed by anybody with a copy of the store or the export`,
    );
  }
  return passphrase;
}

function readPassphraseLine(): string {
  const line = readLine(STDIN, PASSPHRASE_BYTES_MAX, 'standard input');
  try {
    if (line.length === 0)
      throw new CommandError(
        'NoValue',
        'the first line of standard input is empty',
        'run it on a terminal to be asked',
      );
    if (line.length > PASSPHRASE_BYTES_MAX)
      throw new CommandError('NoValue', `the line is longer than ${PASSPHRASE_BYTES_MAX} bytes`);
    const text = decodeAndWipe(line);
    if (text === undefined) throw new CommandError('NoValue', 'the line is not UTF-8 text');
    return text;
  } finally {
    line.fill(0);
  }
}
