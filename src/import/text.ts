import { ImportError } from './import-error.ts';

/** Largest file that is imported, in bytes of UTF-8. The tools' own have a few kilobytes. */
const IMPORT_BYTES_MAX: number = 1024 * 1024;

/** Longest key that is named in an error, in characters: the longest variable of our providers has 39. */
const SHOWN_KEY_LENGTH_MAX = 48;

/**
 * A file's text with its lines ended by LF alone and without a byte order mark, which Windows' editors write.
 *
 * @throws ImportError where it is larger than {@link IMPORT_BYTES_MAX}, or no text
 */
export function prepareText(text: string): string {
  // No text of UTF-16 units is longer than its UTF-8; what is in between costs no more than twice as much.
  if (text.length > IMPORT_BYTES_MAX) throw new ImportError(undefined, `it is larger than ${IMPORT_BYTES_MAX} bytes`);
  const lines = text.replace(/^\ufeff/, '').replaceAll(/\r\n?/g, '\n');
  const nul = lines.indexOf('\0');
  if (nul !== -1) throw new ImportError(lineAt(lines, nul), 'it has a NUL character; is it a text file?');
  if (!lines.isWellFormed()) throw new ImportError(undefined, 'it is not UTF-8 text');
  if (lines.trim() === '') throw new ImportError(undefined, 'it is empty');
  return lines;
}

/** The line, from 1, in which a position is. */
export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/**
 * A key as an error may name it; undefined where it may be a part of a secret in the wrong place, as the second line of
 * one in base64 is, which ends in an equals sign. Words have few places in which the kind of character changes.
 */
export function showableKey(key: string): string | undefined {
  if (key.length > SHOWN_KEY_LENGTH_MAX || !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key)) return undefined;
  const changes = key.match(/(?<=[a-z])[A-Z]|(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]/g)?.length ?? 0;
  return changes <= Math.max(1, key.length / 5) ? key : undefined;
}

/** "the key X", or "a key" for one that is not to be repeated. */
export function describeKey(key: string): string {
  const shown = showableKey(key);
  return shown === undefined ? 'a key' : `the key ${shown}`;
}
