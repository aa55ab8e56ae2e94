import { isUtf8 } from 'node:buffer';
import { CommandError } from '../command-error.ts';
import type { Session } from '../session.ts';
import { readValueFromFile, readValueFromStdin } from '../value-input.ts';

/** Asks for a secret twice, without showing it. */
export function askSecret(session: Session, question: string): Promise<string> {
  return session.prompter.askNew(question);
}

/** The text of a pipe, less one newline at its end. */
export function readPipe(): string {
  return decode(readValueFromStdin({ keepNewline: false }), 'standard input');
}

/**
 * The text of a file, less one newline at its end.
 *
 * @param source what has the path, as a message calls it; the path itself could be a secret in the wrong place
 */
export function readFileText(path: string, source: string | undefined): string {
  const file = source === undefined ? 'the file' : `the file of ${source}`;
  return decode(readNamed(path, file), file);
}

function readNamed(path: string, file: string): Uint8Array {
  try {
    return readValueFromFile(path, { keepNewline: false });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(error.code, error.message.replace('the file', file), error.hint);
  }
}

/** The bytes are wiped; what is left of them is the text. */
function decode(bytes: Uint8Array, what: string): string {
  try {
    if (!isUtf8(bytes)) throw new CommandError('InvalidInput', `${what} is not UTF-8 text`);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  } finally {
    bytes.fill(0);
  }
}
