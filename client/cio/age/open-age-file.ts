import { closeSync } from 'node:fs';
import { CommandError, usageError } from '../command-error.ts';
import { openForReading, readBounded } from '../file-descriptors.ts';
import { readPassphrase } from '../passphrase.ts';
import type { Session } from '../session.ts';

/** Size limit of a file of identities or recipients, in bytes. */
const KEYS_BYTES_MAX: number = 64 * 1024;

/**
 * Decrypts an age file with the identities in a file, or with a passphrase, for which it asks. The caller owns and
 * wipes the plaintext.
 *
 * @param identityFile path of the file with identities, if one was given
 * @throws CommandError
 */
export async function openAgeFile(
  session: Session,
  file: Uint8Array,
  identityFile: string | undefined,
): Promise<Uint8Array> {
  const { decryptAge, wantsPassphrase } = await import('./age.ts');
  if (wantsPassphrase(file)) {
    if (identityFile !== undefined) throw usageError('the file is encrypted with a passphrase, not for an identity');
    return decryptAge(file, { passphrase: await readPassphrase(session, 'Passphrase of the file') });
  }
  if (identityFile === undefined) {
    throw usageError('the file is encrypted for an identity', 'give the file with it: --identity FILE');
  }
  return decryptAge(file, { identities: readKeysFile(identityFile, 'the file of --identity') });
}

/**
 * Reads the lines of a file of identities or recipients, without comments and empty lines.
 *
 * @param what the file's name in a message
 * @throws CommandError `ReadFailed`, `InvalidInput`
 */
export function readKeysFile(path: string, what: string): string[] {
  const bytes = readFile(path, what);
  try {
    if (bytes.length > KEYS_BYTES_MAX) throw new CommandError('InvalidInput', `${what} is larger than 64 KiB`);
    const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').split('\n');
    const keys = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
    if (keys.length === 0) throw new CommandError('InvalidInput', `${what} has no line with a key`);
    return keys;
  } finally {
    bytes.fill(0);
  }
}

function readFile(path: string, what: string): Uint8Array {
  const descriptor = openForReading(path, what);
  try {
    return readBounded(descriptor, KEYS_BYTES_MAX, what);
  } finally {
    closeSync(descriptor);
  }
}
