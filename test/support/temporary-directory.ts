import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { atEnd } from './scope.ts';
import type { Scope } from './scope.ts';

/**
 * Makes a folder that goes away with its scope. Other users can pass through it, but not list it, so that a socket
 * in it is theirs to reach as far as its own folder lets them.
 */
export function temporaryDirectory(scope: Scope, name = 'cio-test'): string {
  // A short path: a socket's has 107 bytes at most.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
  fs.chmodSync(directory, 0o711);
  // A shell that was hung up may still write its history while it is taken away.
  atEnd(scope, () => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }));
  return directory;
}
