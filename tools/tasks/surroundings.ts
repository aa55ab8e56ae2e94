import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Below it are sockets, such as those of a user's daemon in his home, whose paths have 107 bytes at most. */
const TEMPORARY_BYTES_MAX = 40;

/**
 * Makes the same everywhere what whoever starts this process hands down to all that it starts: new files are for all to read, and
 * the temporary folder is the same from every folder.
 *
 * @returns why nothing can be run with what it is
 */
export function settleSurroundings(): string | undefined {
  process.umask(0o022);
  const folder = path.resolve(os.tmpdir());
  const wrong = wrongWith(folder);
  if (wrong !== undefined) return `TMPDIR: ${folder} ${wrong}: name another folder`;
  process.env['TMPDIR'] = folder;
  return undefined;
}

function wrongWith(folder: string): string | undefined {
  try {
    fs.rmdirSync(fs.mkdtempSync(path.join(folder, 'cio-')));
  } catch (error) {
    return `cannot be written to (${(error as NodeJS.ErrnoException).code ?? ''})`;
  }
  // Root plays all the others too.
  if (process.geteuid?.() === 0 && !isReachable(folder)) return 'is closed to other users';
  const bytes = Buffer.byteLength(folder);
  return bytes > TEMPORARY_BYTES_MAX
    ? `is ${bytes} bytes long, ${TEMPORARY_BYTES_MAX} leave room for sockets in it`
    : undefined;
}

/** Tells whether every user can pass through to what is in a folder. */
export function isReachable(folder: string): boolean {
  const parent = path.dirname(folder);
  return (fs.statSync(folder).mode & 0o001) !== 0 && (parent === folder || isReachable(parent));
}
