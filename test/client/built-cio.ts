import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const BUILD = path.join(ROOT, 'tools', 'build-client.ts');

/** Builds `cio` from the present sources into a folder of its own, and gives the folder. */
export function buildCio(scope: Scope): string {
  const directory = temporaryDirectory(scope);
  // What comes with machine code is not built in, but found there.
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
  const folder = path.join(directory, 'dist');
  execFileSync(process.execPath, [BUILD, folder], { stdio: 'inherit' });
  return folder;
}
