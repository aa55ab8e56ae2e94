import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { CommandError } from '../command-error.ts';
import { readBounded, STDIN } from '../file-descriptors.ts';
import { takeText } from '../take-text.ts';

/**
 * All that git or docker says on standard input; its bytes are wiped. What is no text is refused: it would be kept, and
 * given back, as another password.
 *
 * @throws CommandError `ReadFailed`, `InvalidInput`
 */
export function readInput(): string {
  const bytes = readBounded(STDIN, VALUE_BYTES_MAX, 'standard input');
  try {
    if (bytes.length > VALUE_BYTES_MAX) throw new CommandError('ReadFailed', 'what came on standard input is too long');
    const text = takeText(bytes);
    if (text === undefined) throw new CommandError('InvalidInput', 'what came on standard input is not UTF-8 text');
    return text;
  } finally {
    bytes.fill(0);
  }
}
