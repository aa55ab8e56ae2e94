import { realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { homeDirectory } from '../../../../src/home-directory.ts';
import type { SecretFile, UnitScan } from '../facts.ts';
import { isSecretVariable } from '../secret-variables.ts';
import { settingsOfUnits } from '../unit-settings.ts';
import { lookThrough, readText, trySee } from './files.ts';

/** The files in a home directory in which rclone and the AWS tools keep keys in clear text. */
const FILES: readonly string[] = ['.config/rclone/rclone.conf', '.aws/credentials'];

/** Looks at the caller's files. For root, also at those in /root: under sudo, HOME may be that of another user. */
export function lookAtSecretFiles(uid: number): SecretFile[] {
  const own = homeDirectory(process.env, homedir);
  const homes = new Set([...(own === undefined ? [] : [own]), ...(uid === 0 ? ['/root'] : [])]);
  return [...homes]
    .flatMap((home) => FILES.map((name) => join(home, name)))
    .filter((path) => !isClosed(path))
    .map((path) => ({ path, file: lookThrough(path) }));
}

/** Whether the folders on the way to a file let neither the group nor others through. */
function isClosed(path: string): boolean {
  const real = trySee(path, () => realpathSync(path));
  let folder = 'value' in real ? dirname(real.value) : '/';
  let open = 0o011;
  while (folder !== '/') {
    open &= statSync(folder, { throwIfNoEntry: false })?.mode ?? open;
    folder = dirname(folder);
  }
  return open === 0;
}

/** No environment file that a person wrote is larger. */
const ENVIRONMENT_BYTES_MAX: number = 64 * 1024;

/** Looks at the files from which units take their environment, and returns those that have secrets in them. */
export function lookAtEnvironmentFiles(units: UnitScan): SecretFile[] {
  const settings = [...settingsOfUnits(units).values()].flat();
  const values = settings.filter(({ key }) => key === 'EnvironmentFile');
  // A leading dash marks a file that may be missing. Patterns and specifiers are not expanded: such paths are skipped.
  const paths = new Set(values.map(({ value }) => value.replace(/^-/, '')).filter((path) => /^\/[^%*?[]+$/.test(path)));
  return [...paths].toSorted().flatMap((path) => {
    if (isClosed(path)) return [];
    const text = readText(path, ENVIRONMENT_BYTES_MAX);
    // A file that this user may not read is closed to others, as it should be.
    if ('unseen' in text || text.value === undefined) return [];
    const names = [...text.value.matchAll(/^[ \t]*(?:export[ \t]+)?(\w+)=./gm)].map(([, name = '']) => name);
    const variables = [...new Set(names.filter(isSecretVariable))];
    return variables.length === 0 ? [] : [{ path, file: lookThrough(path), variables }];
  });
}
