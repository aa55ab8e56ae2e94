import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { syncDirectory } from '../store/sync-directory.ts';
import { describeSystemError } from '../system-error.ts';
import { KEY_BYTES, bytesOutsideHeap } from './key-memory.ts';
import { decodeKey, encodeKey, KEY_TEXT_BYTES_MAX } from './key-text.ts';
import { randomBytes } from './sodium.ts';

/**
 * The end of the name under which a key file is written. It is random and not the process id, which is the same each
 * time in a container: a killed process may have left its file.
 */
const TEMPORARY = /.\.[0-9a-f]{16}\.tmp$/;

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
 * Removes what {@link createKeyFile} left in a directory when its process was killed: an unused key, or a second link to
 * a key file in use. No other process may be creating a key file there.
 *
 * @throws the system's error
 */
export function removeTemporaryKeyFiles(directory: string): void {
  for (const name of readdirSync(directory).filter(isTemporaryName)) {
    const path = join(directory, name);
    const stat = lstatSync(path);
    const isOurs = stat.isFile() && stat.uid === process.geteuid?.() && stat.size <= KEY_TEXT_BYTES_MAX;
    if (isOurs) rmSync(path);
  }
}

/** Tells whether a file of this name would be taken for an unfinished key file. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
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
