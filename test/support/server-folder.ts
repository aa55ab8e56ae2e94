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
