import fs from 'node:fs';
import path from 'node:path';

const DIRECTORY_MODE = 0o755;

/** Modes of installed files, regardless of the umask and of the modes in the checkout. */
export const FILE_MODE = 0o644;
export const PROGRAM_MODE = 0o755;

/** Makes a directory and missing parent directories, readable by everybody. */
export function makeDirectory(directory: string): void {
  const first = fs.mkdirSync(directory, { recursive: true });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = path.dirname(made)) {
    fs.chmodSync(made, DIRECTORY_MODE);
  }
}

/** Copies a file, with the given mode, and makes missing directories. */
export function copyFile(from: string, to: string, mode: number = FILE_MODE): void {
  makeDirectory(path.dirname(to));
  fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE);
  fs.chmodSync(to, mode);
}

/** Writes a file, with the given mode, and makes missing directories. */
export function writeFile(to: string, content: string, mode: number = FILE_MODE): void {
  makeDirectory(path.dirname(to));
  fs.writeFileSync(to, content);
  fs.chmodSync(to, mode);
}

/** Makes a symbolic link and missing directories. */
export function link(target: string, at: string): void {
  makeDirectory(path.dirname(at));
  fs.symlinkSync(target, at);
}

/**
 * Copies the files below `from` for which `isWanted` returns true.
 *
 * @param isWanted is called with the path of each file, relative to `from` and with `/` as the separator
 * @throws Error if a wanted entry is not a regular file
 */
export function copyTree(from: string, to: string, isWanted: (file: string) => boolean): void {
  for (const entry of fs.readdirSync(from, { recursive: true, withFileTypes: true })) {
    const file = path.relative(from, path.join(entry.parentPath, entry.name));
    if (entry.isDirectory() || !isWanted(file)) continue;
    if (!entry.isFile()) throw new Error(`cannot install ${path.join(from, file)}: it is not a regular file`);
    copyFile(path.join(from, file), path.join(to, file));
  }
}
