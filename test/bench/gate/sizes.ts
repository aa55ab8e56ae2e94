import { globSync, statSync } from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from '../servers.ts';
import type { Figure } from './figure.ts';

/** The distributed parts, each with the patterns of its files. */
const SIZES = [
  { id: 'cio-bytes', what: 'bytes of the main file of cio', pattern: 'dist/cio.cjs' },
  { id: 'cio-cache-bytes', what: 'bytes of its compiled code', pattern: 'dist/cio.*.cache' },
  { id: 'cio-parts-bytes', what: 'bytes of the other files of cio', pattern: 'dist/cio-*.mjs' },
  {
    id: 'daemon-bytes',
    what: 'bytes of the daemon’s own code, with its comments',
    pattern: 'dist/{daemon,src}/**/*.js',
  },
  { id: 'prober-bytes', what: 'bytes of the prober', pattern: 'dist/prober/main.cjs' },
] as const;

/** Measures the sizes of what was built, and of the package, if there is one as new as the build. */
export function sizes(): Figure[] {
  const built = SIZES.map(({ id, what, pattern }) => ({
    id,
    what,
    value: bytesOf(globSync(pattern, { cwd: REPOSITORY })),
  }));
  return [...built, packageSize()];
}

function packageSize(): Figure {
  const figure = { id: 'package-bytes', what: 'bytes of the Debian package' };
  const isNew = (file: string): boolean => modifiedMs(file) >= modifiedMs('dist/.built-from');
  const [newest] = globSync('build/*.deb', { cwd: REPOSITORY })
    .filter(isNew)
    .toSorted((a, b) => modifiedMs(b) - modifiedMs(a));
  return newest === undefined
    ? { ...figure, value: undefined, missing: 'a package of this build (npm run package:deb)' }
    : { ...figure, value: bytesOf([newest]) };
}

function bytesOf(files: readonly string[]): number {
  if (files.length === 0) throw new Error('what is to be weighed was not built');
  return files.reduce((sum, file) => sum + statSync(path.join(REPOSITORY, file)).size, 0);
}

function modifiedMs(file: string): number {
  return statSync(path.join(REPOSITORY, file)).mtimeMs;
}
