import { requireText } from '../take-text.ts';
import { readValueFromFile, readValueFromStdin } from '../value-input.ts';

/** The text of a pipe, less one newline at its end. */
export function readPipe(): string {
  return requireText(readValueFromStdin({ keepNewline: false }), 'standard input');
}

/**
 * The text of a file, less one newline at its end.
 *
 * @param source what has the path, as a message calls it: `--from-file`; undefined where it was asked for
 */
export function readFileText(path: string, source: string | undefined): string {
  const file = source === undefined ? 'the file' : `the file of ${source}`;
  return requireText(readValueFromFile(path, { keepNewline: false }, file), file);
}
