import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/**
 * Returns the folder in which a server that the tests need is installed. It is outside the checkout, so that all
 * checkouts share the servers, and each release has its own.
 */
export function serverFolder(release: string): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  return path.join(cache, 'cio-credentiald-test', release);
}

/**
 * Installs a server unless its program is in its folder. The folder gets its content only when that is complete, so
 * that the tests find no half of a server after an install that was killed.
 *
 * @param install installs into the given folder, and returns its exit code
 */
export function installServer(folder: string, program: string, install: (unfinished: string) => number): number {
  if (fs.existsSync(program)) return 0;
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const unfinished = fs.mkdtempSync(`${folder}.unfinished-`);
  try {
    fs.chmodSync(unfinished, 0o755);
    const code = install(unfinished);
    // Another checkout may have installed it meanwhile.
    if (code !== 0 || fs.existsSync(program)) return code;
    fs.rmSync(folder, { recursive: true, force: true });
    fs.renameSync(unfinished, folder);
    return code;
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
}
