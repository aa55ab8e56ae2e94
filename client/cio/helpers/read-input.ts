import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { CommandError } from '../command-error.ts';
import { readBounded, STDIN } from '../file-descriptors.ts';
import { decodeAndWipe } from '../decode-text.ts';

/**
 * Reads all that git or docker sends on standard input, and wipes its bytes. Input that is not UTF-8 is refused:
 * decoded with replacement characters, it would be stored and returned as a different password.
 *
 * @throws CommandError `ReadFailed`, `InvalidInput`
 */
export function readInput(): string {
  const bytes = readBounded(STDIN, VALUE_BYTES_MAX, 'standard input');
  try {
    if (bytes.length > VALUE_BYTES_MAX) throw new CommandError('ReadFailed', 'standard input is too long');
    const text = decodeAndWipe(bytes);
    if (text === undefined) throw new CommandError('InvalidInput', 'standard input is not UTF-8 text');
    return text;
  } finally {
    bytes.fill(0);
  }
}
