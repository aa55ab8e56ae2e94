import { realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { homeDirectory } from '../../../../src/home-directory.ts';
import type { SecretFile, UnitScan } from '../facts.ts';
import { isSecretVariable } from '../secret-variables.ts';
import { attempt, lookThrough, readText } from './files.ts';

/** Where rclone and the AWS tools keep keys in clear, below a home. */
const FILES: readonly string[] = ['.config/rclone/rclone.conf', '.aws/credentials'];

/** Looks at the files of the caller; for root, at those of root besides, whoever's home he has kept. */
export function lookAtSecretFiles(uid: number): SecretFile[] {
  const own = homeDirectory(process.env, homedir);
  const homes = new Set([...(own === undefined ? [] : [own]), ...(uid === 0 ? ['/root'] : [])]);
  return [...homes]
    .flatMap((home) => FILES.map((name) => join(home, name)))
    .filter((path) => !isClosed(path))
    .map((path) => ({ path, file: lookThrough(path) }));
}

/** Neither the group nor others can pass through one of the folders on the way to it. */
function isClosed(path: string): boolean {
  const real = attempt(path, () => realpathSync(path));
  let folder = 'value' in real ? dirname(real.value) : '/';
  let open = 0o011;
  while (folder !== '/') {
    open &= statSync(folder, { throwIfNoEntry: false })?.mode ?? open;
    folder = dirname(folder);
  }
  return open === 0;
}

/** No environment of a person is larger. */
const ENVIRONMENT_BYTES_MAX: number = 64 * 1024;

/** Looks at the files from which units take their environment: those with a secret in them, and those not to be seen. */
export function lookAtEnvironmentFiles({ files }: UnitScan): SecretFile[] {
  const values = files.flatMap(({ assignments }) => assignments.filter(({ key }) => key === 'EnvironmentFile'));
  // One that may be missing has a dash in front; patterns and specifiers are left to systemd.
  const paths = new Set(values.map(({ value }) => value.replace(/^-/, '')).filter((path) => /^\/[^%*?[]+$/.test(path)));
  return [...paths].toSorted().flatMap((path) => {
    if (isClosed(path)) return [];
    const text = readText(path, ENVIRONMENT_BYTES_MAX);
    // What this user may not read is closed to others as it should be.
    if ('unseen' in text || text.value === undefined) return [];
    const names = [...text.value.matchAll(/^[ \t]*(?:export[ \t]+)?(\w+)=./gm)].map(([, name = '']) => name);
    const variables = [...new Set(names.filter(isSecretVariable))];
    return variables.length === 0 ? [] : [{ path, file: lookThrough(path), variables }];
  });
}
