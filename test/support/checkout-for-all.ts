import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { productionPackages } from '../../tools/tasks/production-packages.ts';
import type { Scope } from './scope.ts';
import { isReachable } from '../../tools/tasks/test-environment.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');

/** The parts of the checkout that users run, besides its packages. */
const PROGRAM = ['package.json', 'bin', 'client', 'daemon', 'dist', 'src'];

/** One file of each part that may have been made at a different time, under a different umask. */
const SAMPLES = [process.execPath, ...['daemon/main.ts', 'dist/cio.cjs'].map((file) => path.join(REPOSITORY, file))];

const COPIES = new WeakMap<Scope, string>();

/**
 * Returns a command of the checkout in a form that users other than that of the tests can run. They cannot reach a
 * checkout in root's home, or one made under a umask of 077. The command then runs from a copy, which lasts as long as
 * the scope.
 */
export function forAllUsers(scope: Scope, command: readonly string[]): string[] {
  if (isForAllUsers()) return [...command];
  const copy = COPIES.get(scope) ?? copyForAll(scope);
  COPIES.set(scope, copy);
  return command.map((word) => {
    if (word === process.execPath) return nodeOf(copy);
    return word.startsWith(`${REPOSITORY}/`) ? path.join(copy, path.relative(REPOSITORY, word)) : word;
  });
}

/** Tells whether every user can run the checkout. `dist` may not be built yet. */
export function isForAllUsers(): boolean {
  return SAMPLES.filter((file) => fs.existsSync(file)).every(isOpenToAll);
}

/** Tells whether every user can read a file. */
function isOpenToAll(file: string): boolean {
  return isReadable(file) && isReachable(path.dirname(file));
}

function isReadable(file: string): boolean {
  return (fs.statSync(file).mode & 0o004) !== 0;
}

function copyForAll(scope: Scope): string {
  const copy = path.join(temporaryDirectory(scope, 'cio-for-all'), 'checkout');
  const packages = productionPackages(REPOSITORY).filter(({ isBundled }) => !isBundled);
  const libraries = packages.map(({ location }) => location).filter((location) => !location.includes('/node-linux-'));
  for (const part of [...PROGRAM, ...libraries].filter((name) => fs.existsSync(path.join(REPOSITORY, name)))) {
    fs.cpSync(path.join(REPOSITORY, part), path.join(copy, part), { recursive: true });
  }
  // The place where the launchers look for Node.
  fs.mkdirSync(path.dirname(nodeOf(copy)), { recursive: true });
  fs.copyFileSync(process.execPath, nodeOf(copy), fs.constants.COPYFILE_FICLONE);
  spawnSync('chmod', ['-R', 'a+rX', copy]);
  return copy;
}

function nodeOf(copy: string): string {
  return path.join(copy, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
}
