import { requireText } from '../decode-text.ts';
import { readValueFromFile, readValueFromStdin } from '../value-input.ts';

/** Reads text from standard input, without one newline at its end. */
export function readPipe(): string {
  return requireText(readValueFromStdin({ keepNewline: false }), 'standard input');
}

/**
 * Reads text from a file, without one newline at its end.
 *
 * @param source where the path comes from, as a message calls it: `--from-file`; undefined if the user was asked for it
 */
export function readFileText(path: string, source: string | undefined): string {
  const file = source === undefined ? 'the file' : `the file of ${source}`;
  return requireText(readValueFromFile(path, { keepNewline: false }, file), file);
}
