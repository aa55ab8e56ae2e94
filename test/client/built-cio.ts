import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BUILD = path.join(import.meta.dirname, '..', '..', 'tools', 'build-client.ts');

/** Builds `cio` from the present sources into a folder of its own, and gives the folder. */
export function buildCio(scope: Scope): string {
  const folder = temporaryDirectory(scope);
  execFileSync(process.execPath, [BUILD, folder], { stdio: 'inherit' });
  return folder;
}
