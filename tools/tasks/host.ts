/** The places where `npm run install:host` installs files on this host, and what its tasks share. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PROGRAM_DIRECTORY } from './stage.ts';

/** The prefix for software that an administrator installs without the distribution's packages. */
export const PREFIX = '/usr/local';

/** A link to the installed version, which is replaced by a single rename(2). */
export const PROGRAM_LINK: string = path.join(PREFIX, 'lib', PROGRAM_DIRECTORY);

/** The directory of the versions: the installed one and, during an upgrade, the previous one. */
export const VERSIONS: string = path.join(PREFIX, 'lib', `${PROGRAM_DIRECTORY}-versions`);

/**
 * The units that were enabled once, one per line. An upgrade enables only new units, so that units stay as they are if
 * the administrator has disabled or stopped them.
 */
export const ENABLED_UNITS: string = path.join(VERSIONS, 'enabled-units');

/** In the directory of a version: the files that were installed outside of it, one absolute path per line. */
export const MANIFEST = 'installed-files';

export const SERVICE_UNIT = 'cio-credentiald.service';

/** All units, in the order in which they are started. */
export const UNITS: readonly string[] = [
  'cio-credentiald.socket',
  'cio-credentiald-load.socket',
  'cio-credentiald-load-encrypted.socket',
  'cio-credential-prober.socket',
  SERVICE_UNIT,
];

/** The slice in which all validations run. It cannot be enabled, and is started with the first validation. */
export const PROBERS_SLICE = 'system-cio_credential_prober.slice';

/** What --purge removes: the store with its key file, and the root key that systemd keeps encrypted. */
export const STATE: readonly string[] = [
  '/var/lib/cio-credentiald',
  '/etc/credstore.encrypted/cio-credentiald.root-key',
];

/** A problem that the operator can fix. The message says how. */
export class HostError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Runs the steps of a task. A HostError is reported on standard error, and sets the exit code. */
export function runTask(steps: () => void): void {
  try {
    steps();
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    say(error.message);
    process.exitCode = error.exitCode;
  }
}

/** @throws HostError if the task does not run as root */
export function requireRoot(task: string): void {
  if (process.geteuid?.() !== 0) throw new HostError(`This changes the host and needs root: sudo npm run ${task}`);
}

/** Tells whether the Debian package is installed on this host. */
export function isPackageInstalled(): boolean {
  const query = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Status}', PROGRAM_DIRECTORY], {
    encoding: 'utf8',
  });
  return query.stdout?.trim() === 'installed';
}

/** Tells whether systemd is PID 1 here, by the same test as sd_booted(3). */
export function isSystemdRunning(): boolean {
  return fs.existsSync('/run/systemd/system');
}

/** Returns the directory of the installed version, or undefined if there is none. */
export function installedVersion(): string | undefined {
  const stat = fs.lstatSync(PROGRAM_LINK, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isSymbolicLink()) {
    throw new HostError(`${PROGRAM_LINK} exists, but install:host did not create it. Move it away and run this again.`);
  }
  return path.resolve(path.dirname(PROGRAM_LINK), fs.readlinkSync(PROGRAM_LINK));
}

/** Returns the files that a version has installed outside of its own directory. */
export function installedFiles(version: string): readonly string[] {
  return readLines(path.join(version, MANIFEST));
}

/** Returns the lines of a file; none if the file does not exist. */
export function readLines(file: string): readonly string[] {
  if (!fs.existsSync(file)) return [];
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

/** Runs a command that must succeed, with its output on standard error. @throws HostError if it fails */
export function run(command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', process.stderr.fd, process.stderr.fd] });
  if (status === 0) return;
  const reason = error === undefined ? `it exited with ${String(status)}, see above` : error.message;
  throw new HostError(`Cannot go on: ${[command, ...args].join(' ')}: ${reason}`);
}

/** Tells whether a command succeeds. Its output is discarded. */
export function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Writes a message to the operator on standard error. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
