import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/**
 * Tests make sockets below the temporary folder, such as those of a user's daemon. Socket paths have at most 107 bytes.
 */
const TEMPORARY_BYTES_MAX = 40;

/** Used if the temporary folder is not suitable, such as one in a home directory, or one per user (pam_tmpdir). */
const FALLBACKS = ['/tmp', '/var/tmp'];

/**
 * Sets the umask and the temporary folder that all processes of the tests inherit, so that they do not depend on the
 * caller's: everybody can read new files, and the temporary folder has an absolute path. If another temporary folder is
 * used instead, reports that on standard error.
 *
 * @returns why no tests can be run; undefined if they can
 */
export function prepareTestEnvironment(): string | undefined {
  process.umask(0o022);
  const requested = path.resolve(os.tmpdir());
  const problem = problemOf(requested);
  const usable = [requested, ...FALLBACKS].filter((folder) => problemOf(folder) === undefined);
  // If no folder allows programs to run, the first one will do: most tests run no programs there.
  const folder = usable.find(runsPrograms) ?? usable[0];
  if (folder === undefined) return `TMPDIR: ${requested} ${problem}: name another folder`;
  if (folder !== requested) {
    const reason = problem ?? 'is mounted with noexec';
    process.stderr.write(`TMPDIR: ${requested} ${reason}: ${folder} is used instead\n`);
  }
  process.env['TMPDIR'] = folder;
  return undefined;
}

function problemOf(folder: string): string | undefined {
  try {
    fs.rmdirSync(fs.mkdtempSync(path.join(folder, 'cio-')));
  } catch (error) {
    return `cannot be written to (${(error as NodeJS.ErrnoException).code ?? ''})`;
  }
  // Tests that run as root also run programs as other users.
  if (process.geteuid?.() === 0 && !isReachable(folder)) return 'is closed to other users';
  if (!/^[\w./+-]+$/.test(folder)) return 'has characters that a shell would interpret';
  const bytes = Buffer.byteLength(folder);
  return bytes > TEMPORARY_BYTES_MAX
    ? `is ${bytes} bytes long, ${TEMPORARY_BYTES_MAX} leave room for sockets in it`
    : undefined;
}

function runsPrograms(folder: string): boolean {
  const below = fs.mkdtempSync(path.join(folder, 'cio-'));
  try {
    const program = path.join(below, 'program');
    fs.writeFileSync(program, '#!/bin/sh\n', { mode: 0o700 });
    return spawnSync(program).status === 0;
  } finally {
    fs.rmSync(below, { recursive: true });
  }
}

/** Tells whether every user can reach the contents of a folder: all directories on its path are searchable. */
export function isReachable(folder: string): boolean {
  const parent = path.dirname(folder);
  return (fs.statSync(folder).mode & 0o001) !== 0 && (parent === folder || isReachable(parent));
}
