import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const BUILD = path.join(ROOT, 'tools', 'build-client.ts');

/** Builds `cio` from the present sources into a temporary folder, and returns the folder. */
export function buildCio(scope: Scope): string {
  const directory = temporaryDirectory(scope);
  // Packages with native code are not bundled; the built `cio` loads them from node_modules.
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
  const folder = path.join(directory, 'dist');
  execFileSync(process.execPath, [BUILD, folder], { stdio: 'inherit' });
  return folder;
}
