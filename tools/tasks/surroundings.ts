import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Below it are sockets, such as those of a user's daemon in his home, whose paths have 107 bytes at most. */
const TEMPORARY_BYTES_MAX = 40;

/** What is taken where the temporary folder will not do, such as one in a home, or one for each user (pam_tmpdir). */
const USUAL = ['/tmp', '/var/tmp'];

/**
 * Makes the same everywhere what whoever starts this process hands down to all that it starts: new files are for all to read, and
 * the temporary folder is the same from every folder. Says on standard error which one is taken where that is another.
 *
 * @returns why nothing can be run with what it is
 */
export function settleSurroundings(): string | undefined {
  process.umask(0o022);
  const wanted = path.resolve(os.tmpdir());
  const wrong = wrongWith(wanted);
  const fit = [wanted, ...USUAL].filter((folder) => wrongWith(folder) === undefined);
  // Where programs run nowhere, most tests need none there.
  const folder = fit.find(runsPrograms) ?? fit[0];
  if (folder === undefined) return `TMPDIR: ${wanted} ${wrong}: name another folder`;
  if (folder !== wanted) {
    const reason = wrong ?? 'is mounted with noexec';
    process.stderr.write(`TMPDIR: ${wanted} ${reason}: ${folder} is taken instead\n`);
  }
  process.env['TMPDIR'] = folder;
  return undefined;
}

function wrongWith(folder: string): string | undefined {
  try {
    fs.rmdirSync(fs.mkdtempSync(path.join(folder, 'cio-')));
  } catch (error) {
    return `cannot be written to (${(error as NodeJS.ErrnoException).code ?? ''})`;
  }
  // Root plays all the others too.
  if (process.geteuid?.() === 0 && !isReachable(folder)) return 'is closed to other users';
  if (!/^[\w./+-]+$/.test(folder)) return 'has characters that shells take for others';
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

/** Tells whether every user can pass through to what is in a folder. */
export function isReachable(folder: string): boolean {
  const parent = path.dirname(folder);
  return (fs.statSync(folder).mode & 0o001) !== 0 && (parent === folder || isReachable(parent));
}
