import { ImportError } from './import-error.ts';

/** Largest file that is imported, in bytes of UTF-8. Those of the tools have a few kilobytes. */
const IMPORT_BYTES_MAX: number = 1024 * 1024;

/** Longest key that an error names, in characters. The longest variable of the providers has 39. */
const SHOWN_KEY_LENGTH_MAX = 48;

/**
 * Returns a file's text with LF line ends, and without the byte order mark that Windows editors write.
 *
 * @throws ImportError if the file is larger than {@link IMPORT_BYTES_MAX}, empty, or not text
 */
export function prepareText(text: string): string {
  // The length in UTF-16 units never exceeds that in bytes of UTF-8. A larger file of multi-byte characters may pass,
  // but takes at most twice the limit in memory.
  if (text.length > IMPORT_BYTES_MAX) throw new ImportError(undefined, `it is larger than ${IMPORT_BYTES_MAX} bytes`);
  const lines = text.replace(/^\ufeff/, '').replaceAll(/\r\n?/g, '\n');
  const nul = lines.indexOf('\0');
  if (nul !== -1) throw new ImportError(lineAt(lines, nul), 'it has a NUL character; is it a text file?');
  if (!lines.isWellFormed()) throw new ImportError(undefined, 'it is not UTF-8 text');
  if (lines.trim() === '') throw new ImportError(undefined, 'it is empty');
  return lines;
}

/** Returns the number of the line, from 1, that contains a position. */
export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/**
 * Returns a key if an error may name it. Undefined if it may be part of a misplaced secret, such as the last line of a
 * base64 text, which ends in an equals sign. In words, unlike in base64, the type of character seldom changes.
 */
export function showableKey(key: string): string | undefined {
  if (key.length > SHOWN_KEY_LENGTH_MAX || !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key)) return undefined;
  const changes = key.match(/(?<=[a-z])[A-Z]|(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]/g)?.length ?? 0;
  return changes <= Math.max(1, key.length / 5) ? key : undefined;
}

/** Returns "the key X", or "a key" if it may be part of a misplaced secret. */
export function describeKey(key: string): string {
  const shown = showableKey(key);
  return shown === undefined ? 'a key' : `the key ${shown}`;
}

/** Returns an endpoint without white space at its ends, and without the slashes that users often append. */
export function withoutSlash(url: string): string {
  const text = url.trim();
  let end = text.length;
  // A regular expression would take quadratic time.
  while (text.charAt(end - 1) === '/') end -= 1;
  return text.slice(0, end);
}
