import { CommandError } from './command-error.ts';
import { readLine, STDIN } from './file-descriptors.ts';
import type { Session } from './session.ts';
import { takeText } from './take-text.ts';

/** Longest passphrase or recovery code that is read from a pipe, in bytes. */
const PASSPHRASE_BYTES_MAX = 64 * 1024;

/** Shorter ones are warned of, in characters (as gpg-agent does: `min-passphrase-len`). */
const PASSPHRASE_LENGTH_GOOD = 8;

/** Asks for what opens the store; where there is no terminal, the first line of standard input is taken. */
export async function readPassphrase(session: Session, question: string): Promise<string> {
  return session.prompter.canAsk ? session.prompter.ask(question, { isHidden: true }) : readPassphraseLine();
}

/** The same for a new one: a person has to repeat it, and whoever sits at the terminal is warned of a short one. */
export async function readNewPassphrase(session: Session, question: string): Promise<string> {
  const passphrase = session.prompter.canAsk ? await session.prompter.askNew(question) : readPassphraseLine();
  // As in text of UTF-16: no terminal could give it again.
  if (passphrase.includes('\0')) throw new CommandError('NoValue', 'the line has a NUL character');
  if (Array.from(passphrase).length < PASSPHRASE_LENGTH_GOOD) {
    session.warn(
      `with fewer than ${PASSPHRASE_LENGTH_GOOD} characters it can be found by trying, by whoever has a copy of what it opens`,
    );
  }
  return passphrase;
}

function readPassphraseLine(): string {
  const line = readLine(STDIN, PASSPHRASE_BYTES_MAX, 'standard input');
  try {
    if (line.length === 0) throw new CommandError('NoValue', 'standard input has no line with what is asked for');
    if (line.length > PASSPHRASE_BYTES_MAX)
      throw new CommandError('NoValue', `the line is longer than ${PASSPHRASE_BYTES_MAX} bytes`);
    const text = takeText(line);
    if (text === undefined) throw new CommandError('NoValue', 'the line is not UTF-8 text');
    return text;
  } finally {
    line.fill(0);
  }
}
