import fs from 'node:fs';
import path from 'node:path';

/**
 * Replaces a folder by a new one that is made in another place. The old folder stays in use until the new one is
 * complete, and for good if making it fails.
 *
 * @param temporaryParent the folder, on the same file system, in which the new one is made
 * @param make creates and fills the folder at the path that it is given
 */
export function replaceFolder(folder: string, temporaryParent: string, make: (next: string) => void): void {
  fs.mkdirSync(temporaryParent, { recursive: true });
  const work = fs.mkdtempSync(path.join(temporaryParent, `${path.basename(folder)}-`));
  const clear = (): void => fs.rmSync(work, { recursive: true, force: true });
  process.once('exit', clear);
  try {
    const next = path.join(work, 'next');
    make(next);
    // Node cannot exchange two names in one call, so for some microseconds the folder does not exist.
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
    // In a container, a folder of the image cannot be renamed, only removed (overlayfs in the kernel's documentation).
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    fs.rmSync(folder, { recursive: true });
  }
}
