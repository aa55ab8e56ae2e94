import fs from 'node:fs';
import path from 'node:path';

const DIRECTORY_MODE = 0o755;

/** Modes of installed files, whatever umask and checkout say. */
export const FILE_MODE = 0o644;
export const PROGRAM_MODE = 0o755;

/** Makes a directory and those above it, readable by all. */
export function makeDirectory(directory: string): void {
  const first = fs.mkdirSync(directory, { recursive: true });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = path.dirname(made)) {
    fs.chmodSync(made, DIRECTORY_MODE);
  }
}

/** Copies one file, with a mode of its own, and the directories that it needs. */
export function copyFile(from: string, to: string, mode: number = FILE_MODE): void {
  makeDirectory(path.dirname(to));
  fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE);
  fs.chmodSync(to, mode);
}

/** Writes one file, with the directories that it needs. */
export function writeFile(to: string, content: string, mode: number = FILE_MODE): void {
  makeDirectory(path.dirname(to));
  fs.writeFileSync(to, content);
  fs.chmodSync(to, mode);
}

/** Makes a symbolic link, with the directories that it needs. */
export function link(target: string, at: string): void {
  makeDirectory(path.dirname(at));
  fs.symlinkSync(target, at);
}

/**
 * Copies those files below `from` whose path `isWanted`, relative to it and with `/` between.
 *
 * @throws Error where it meets what is neither file nor directory
 */
export function copyTree(from: string, to: string, isWanted: (file: string) => boolean): void {
  for (const entry of fs.readdirSync(from, { recursive: true, withFileTypes: true })) {
    const file = path.relative(from, path.join(entry.parentPath, entry.name));
    if (entry.isDirectory() || !isWanted(file)) continue;
    if (!entry.isFile()) throw new Error(`cannot install ${path.join(from, file)}: it is not a regular file`);
    copyFile(path.join(from, file), path.join(to, file));
  }
}
