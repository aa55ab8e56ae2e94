import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { atEnd } from './scope.ts';
import type { Scope } from './scope.ts';

/**
 * Makes a folder that is removed at the end of its scope. Other users can pass through it but not list it, so that they
 * can reach a socket in it if the socket's own folder permits that.
 */
export function temporaryDirectory(scope: Scope, name = 'cio-test'): string {
  // Keeps the path short: a socket's path has at most 107 bytes.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
  fs.chmodSync(directory, 0o711);
  // Retries, since a shell that got SIGHUP may still write its history while the folder is removed.
  atEnd(scope, () => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }));
  return directory;
}
