import { closeSync, fstatSync } from 'node:fs';
import { EXPORT_BYTES_MAX } from '../../../src/export-format.ts';
import { isAgeFile } from '../age/age-file.ts';
import { CommandError } from '../command-error.ts';
import { openForReading, readBounded, STDIN } from '../file-descriptors.ts';
import type { Session } from '../session.ts';
import { requireText } from '../decode-text.ts';

/** Maximum size of a file. age adds to an export: a header, a tag for each 64 KiB, and the lines of the armor. */
const AGE_BYTES_MAX: number = Math.ceil(EXPORT_BYTES_MAX * 1.5);

/** Read permission of the group and of others. */
const READABLE_BY_OTHERS = 0o044;

/** The text of a file, and what the user is told about the file. */
export interface SourceText {
  /** The name shown to the user. */
  readonly name: string;
  /** Undefined for standard input. */
  readonly path: string | undefined;
  readonly text: string;
  /** The source is a regular file that was not encrypted. */
  readonly isPlainFile: boolean;
  /** The permissions of an unencrypted file that others may read; else undefined. */
  readonly openMode: number | undefined;
}

/**
 * Reads a file, decrypts it if it is an age file, and wipes its bytes.
 *
 * @param path `-` for standard input
 * @throws CommandError
 */
export async function readSource(session: Session, path: string, identity: string | undefined): Promise<SourceText> {
  const { bytes, isFile, openMode } = path === '-' ? readStdin() : readFile(path);
  const name = path === '-' ? 'standard input' : path;
  let plain = bytes;
  try {
    if (bytes.length > AGE_BYTES_MAX)
      throw new CommandError('InvalidInput', `${name} is too large for a file of credentials`);
    const isEncrypted = isAgeFile(bytes);
    if (isEncrypted) {
      const { openAgeFile } = await import('../age/open-age-file.ts');
      plain = await openAgeFile(session, bytes, identity);
    }
    return {
      name,
      path: path === '-' ? undefined : path,
      text: requireText(plain, name, '; nothing was stored'),
      isPlainFile: isFile && !isEncrypted,
      openMode: isEncrypted ? undefined : openMode,
    };
  } finally {
    bytes.fill(0);
    plain.fill(0);
  }
}

interface FileBytes {
  readonly bytes: Uint8Array;
  readonly isFile: boolean;
  readonly openMode: number | undefined;
}

function readStdin(): FileBytes {
  return { bytes: readBounded(STDIN, AGE_BYTES_MAX, 'standard input'), isFile: false, openMode: undefined };
}

function readFile(path: string): FileBytes {
  const descriptor = openForReading(path, 'the file', 'nothing was stored; PATH names a file to import');
  try {
    const stat = fstatSync(descriptor);
    const isOpen = stat.isFile() && (stat.mode & READABLE_BY_OTHERS) !== 0;
    return {
      bytes: readBounded(descriptor, AGE_BYTES_MAX, path),
      isFile: stat.isFile(),
      openMode: isOpen ? stat.mode & 0o7777 : undefined,
    };
  } finally {
    closeSync(descriptor);
  }
}
