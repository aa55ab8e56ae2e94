import fs from 'node:fs';
import path from 'node:path';

/**
 * Has a folder made beside another one, in whose place it comes when it is whole: whoever uses the old one finds it until
 * then, and keeps it where the making fails.
 *
 * @param workshop what is made is made in a folder of its own in there, on the same file system
 * @param make fills the folder that it is given, which is not there yet
 */
export function replaceFolder(folder: string, workshop: string, make: (next: string) => void): void {
  fs.mkdirSync(workshop, { recursive: true });
  const work = fs.mkdtempSync(path.join(workshop, `${path.basename(folder)}-`));
  const clear = (): void => fs.rmSync(work, { recursive: true, force: true });
  process.once('exit', clear);
  try {
    const next = path.join(work, 'next');
    make(next);
    // Two names cannot be exchanged in one call from here: for some microseconds there is none.
    if (fs.existsSync(folder)) setAside(folder, path.join(work, 'last'));
    fs.renameSync(next, folder);
  } finally {
    process.off('exit', clear);
    clear();
  }
}

function setAside(folder: string, to: string): void {
  try {
    fs.renameSync(folder, to);
  } catch (error) {
    // In a container a folder of its image cannot be moved, only emptied (overlayfs, in the kernel's documentation).
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    fs.rmSync(folder, { recursive: true });
  }
}
