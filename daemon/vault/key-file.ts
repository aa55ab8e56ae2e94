import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

import { syncDirectory } from '../store/sync-directory.ts';
import { describeSystemError } from '../system-error.ts';
import { KEY_BYTES, bytesOutsideHeap } from './key-memory.ts';
import { decodeKey, encodeKey, KEY_TEXT_BYTES_MAX } from './key-text.ts';
import { randomBytes } from './sodium.ts';

/** A key file that cannot be used. The message contains nothing of its contents. */
export class KeyFileError extends Error {
  readonly isMissing: boolean;

  constructor(message: string, isMissing = false) {
    super(message);
    this.name = 'KeyFileError';
    this.isMissing = isMissing;
  }
}

/**
 * Creates a key file: 32 random bytes in base64 and a line end, mode 0600. The file appears complete or not at all, and
 * is on the disk when this returns. The caller owns and wipes the key.
 *
 * @throws KeyFileError if the file exists already, or cannot be written
 */
export function createKeyFile(path: string): Uint8Array {
  const key = randomBytes(KEY_BYTES);
  const text = encodeKey(key);
  // A random name and not the process id, which is the same each time in a container: a killed process may have left
  // its file.
  const temporary = `${path}.${Buffer.from(randomBytes(8)).toString('hex')}.tmp`;
  let isMade = false;
  try {
    const file = openSync(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    isMade = true;
    try {
      fchmodSync(file, 0o600);
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // A link fails if the name exists, where a rename would replace the file: it may be the only key of an older store.
    linkSync(temporary, path);
    syncDirectory(dirname(path));
    return key;
  } catch (error) {
    key.fill(0);
    throw new KeyFileError(`cannot make the key file ${path}${onWhat(error)}: ${codeOf(error)}`);
  } finally {
    text.fill(0);
    if (isMade) rmSync(temporary, { force: true });
  }
}

/**
 * Reads a key file that nobody else can read or write.
 *
 * @param isOwnerChecked false for a file of systemd's, which is read-only and belongs to root, with an ACL entry for
 *   the service
 * @returns the key, which the caller owns and wipes
 * @throws KeyFileError
 */
export function readKeyFile(path: string, isOwnerChecked = true): Uint8Array {
  const text = bytesOutsideHeap(KEY_TEXT_BYTES_MAX + 1);
  try {
    // The path may come from an attacker who can write to the store or supplied a copy, and merely opening a device can
    // trigger it. A file that is too large is not opened either: it may be the store, and closing any descriptor of
    // that releases SQLite's locks (fcntl(2)).
    const known = statSync(path);
    if (!known.isFile()) throw new KeyFileError(`${path} is not a regular file`);
    if (known.size > KEY_TEXT_BYTES_MAX) throw new KeyFileError(notAKeyFile(path));
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let length: number;
    try {
      const stat = fstatSync(file);
      if (!stat.isFile()) throw new KeyFileError(`${path} is not a regular file`);
      if (isOwnerChecked && (stat.mode & 0o077) !== 0) {
        throw new KeyFileError(`${path} can be read by others; fix it with: chmod 600 ${path}`);
      }
      if (isOwnerChecked && stat.uid !== process.geteuid?.() && stat.uid !== 0) {
        const fix = `chown ${process.geteuid?.() ?? 0} ${path}`;
        throw new KeyFileError(`${path} belongs to another user (uid ${stat.uid}); fix it with: ${fix}`);
      }
      length = readSync(file, text, 0, text.length, 0);
    } finally {
      closeSync(file);
    }
    const key = decodeKey(text.subarray(0, length));
    if (key === undefined) throw new KeyFileError(notAKeyFile(path));
    return key;
  } catch (error) {
    if (error instanceof KeyFileError) throw error;
    throw new KeyFileError(
      `cannot read the key file ${path}: ${describeSystemError(error)}`,
      codeOf(error) === 'ENOENT',
    );
  } finally {
    text.fill(0);
  }
}

/** Explains EPERM, which the system also returns if a file system does not support an operation at all. */
function onWhat(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code !== 'EPERM') return '';
  if (syscall === 'fchmod') return ' on a file system that keeps no modes';
  return syscall === 'link' ? ' on a file system without hard links' : '';
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function notAKeyFile(path: string): string {
  return `${path} is not a key file: 32 bytes in base64 are expected`;
}
