/** Where `npm run install:host` puts things on this host, and what it asks of the system. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PROGRAM_DIRECTORY } from './stage.ts';

/** For what an administrator installs without the distribution's packages. */
export const PREFIX = '/usr/local';

/** A link to the version that is installed: it is swapped by one rename(2). */
export const PROGRAM_LINK: string = path.join(PREFIX, 'lib', PROGRAM_DIRECTORY);

/** The versions: the one that is installed, and for moments the one before. */
export const VERSIONS: string = path.join(PREFIX, 'lib', `${PROGRAM_DIRECTORY}-versions`);

/**
 * The units that were enabled once, one a line. An upgrade enables what is new only: what the administrator disabled or
 * stopped stays so.
 */
export const ENABLED_UNITS: string = path.join(VERSIONS, 'enabled-units');

/** In a version's directory: what was installed outside of it, one absolute path a line. */
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

/** What all validations run in. It has nothing to enable, and is started with the first one. */
export const PROBERS_SLICE = 'system-cio_credential_prober.slice';

/** What --purge removes: the store with its key file, and the key that systemd keeps for it. */
export const STATE: readonly string[] = [
  '/var/lib/cio-credentiald',
  '/etc/credstore.encrypted/cio-credentiald.root-key',
];

/** Something that the operator can mend; the message says how. */
export class HostError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Runs a task's steps and ends the process as they ended; what they say goes to standard error. */
export function runTask(steps: () => void): void {
  try {
    steps();
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    say(error.message);
    process.exitCode = error.exitCode;
  }
}

/** @throws HostError where this is not root */
export function requireRoot(task: string): void {
  if (process.geteuid?.() !== 0) throw new HostError(`This changes the host and needs root: sudo npm run ${task}`);
}

/** The Debian package is installed on this host. */
export function isPackageInstalled(): boolean {
  const query = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Status}', PROGRAM_DIRECTORY], {
    encoding: 'utf8',
  });
  return query.stdout?.trim() === 'installed';
}

/** systemd is PID 1 here; sd_booted(3) looks at the same. */
export function isSystemdRunning(): boolean {
  return fs.existsSync('/run/systemd/system');
}

/** The directory of the installed version, or undefined. */
export function installedVersion(): string | undefined {
  const stat = fs.lstatSync(PROGRAM_LINK, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isSymbolicLink()) {
    throw new HostError(`${PROGRAM_LINK} is there and was not installed by this. Move it away and run this again.`);
  }
  return path.resolve(path.dirname(PROGRAM_LINK), fs.readlinkSync(PROGRAM_LINK));
}

/** What a version installed outside of its own directory. */
export function installedFiles(version: string): readonly string[] {
  return readLines(path.join(version, MANIFEST));
}

/** The lines of a file that may not be there. */
export function readLines(file: string): readonly string[] {
  if (!fs.existsSync(file)) return [];
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

/** Runs a command that must succeed; it says itself what is wrong. */
export function run(command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', process.stderr.fd, process.stderr.fd] });
  if (status === 0) return;
  const reason = error === undefined ? `it ended with ${String(status)}, see above` : error.message;
  throw new HostError(`Cannot go on: ${[command, ...args].join(' ')}: ${reason}`);
}

/** Tells whether a command succeeds, and shows nothing of it. */
export function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Tells the operator something. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
