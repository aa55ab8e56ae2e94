/**
 * `sudo npm run install:host`: installs the program on this host, or replaces the old version by the new one. The store
 * stays as it is. After an interruption, the task can be run again. Until the single rename that switches versions, the
 * old version stays complete.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import {
  ENABLED_UNITS,
  installedFiles,
  HostError,
  installedVersion,
  isPackageInstalled,
  isSystemdRunning,
  MANIFEST,
  PREFIX,
  PROGRAM_LINK,
  readLines,
  requireRoot,
  run,
  runTask,
  say,
  SERVICE_UNIT,
  succeeds,
  UNITS,
  VERSIONS,
} from './host.ts';
import { copyFile, makeDirectory, writeFile } from './stage-files.ts';
import { packageVersion, stageCommands, stageProgram, stageUnits, verifyProgram } from './stage.ts';

/** In the directory of a version, until it is installed: files for other places, laid out as below the prefix. */
const OUTSIDE = 'outside';

const ROOT = path.join(import.meta.dirname, '..', '..');

runTask(() => {
  requireRoot('install:host');
  if (isPackageInstalled()) {
    throw new HostError(
      'The Debian package of cio-credentiald is installed here, and the two would conflict.\n' +
        '  To go on with the package: npm run package:deb, and apt install the file.\n' +
        '  To go on without it, with the store as it is: apt remove cio-credentiald, and run this again.',
    );
  }
  chownBuildToOwner();
  const old = installedVersion();
  const wasRunning = isSystemdRunning() && succeeds('systemctl', 'is-active', '--quiet', SERVICE_UNIT);
  say(`Installing cio-credentiald ${packageVersion()} in ${PROGRAM_LINK} …`);
  const version = stageVersion();
  activateVersion(version, old === undefined ? [] : installedFiles(old));
  removeOtherVersions(version);
  enableNewUnits(wasRunning);
});

/** Gives the build to the owner of the checkout, who could otherwise not replace files that root has built. */
function chownBuildToOwner(): void {
  const { uid, gid } = fs.statSync(ROOT);
  if (uid === 0) return;
  for (const name of ['dist', 'node_modules']) {
    const folder = path.join(ROOT, name);
    if (fs.lstatSync(folder).uid === uid) continue;
    fs.lchownSync(folder, uid, gid);
    for (const entry of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      fs.lchownSync(path.join(folder, entry), uid, gid);
    }
  }
}

/** Lays out a version in a directory of its own, with the files for other places, and checks that it runs. */
function stageVersion(): string {
  makeDirectory(VERSIONS);
  const version = path.join(VERSIONS, `${packageVersion()}-${randomBytes(4).toString('hex')}`);
  stageProgram(version, PREFIX);
  verifyProgram(version);
  const outside = path.join(version, OUTSIDE);
  stageUnits(outside, PREFIX);
  stageCommands(outside, version, false);
  const files = fs
    .readdirSync(outside, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.join(PREFIX, path.relative(outside, path.join(entry.parentPath, entry.name))));
  writeFile(path.join(version, MANIFEST), files.map((file) => `${file}\n`).join(''));
  // The files must be on the disk before anything refers to them: a rename can survive a power failure without them.
  run('sync', '--file-system', version);
  return version;
}

/**
 * Installs first what the units need, then the program with a single rename, then units and commands, one rename each.
 */
function activateVersion(version: string, oldFiles: readonly string[]): void {
  const files = installedFiles(version);
  const needed = files.filter((file) => /\/(?:sysusers|tmpfiles)\.d\//.test(file));
  for (const file of needed) replace(version, file);
  run('systemd-sysusers', path.join(PREFIX, 'lib/sysusers.d/cio-credentiald.conf'));
  run('systemd-tmpfiles', '--create', path.join(PREFIX, 'lib/tmpfiles.d/cio-credentiald.conf'));
  run(path.join(version, 'make-root-key'));

  const link = `${PROGRAM_LINK}.new`;
  fs.rmSync(link, { force: true });
  fs.symlinkSync(path.relative(path.dirname(PROGRAM_LINK), version), link);
  fs.renameSync(link, PROGRAM_LINK);

  for (const file of files) if (!needed.includes(file)) replace(version, file);
  for (const file of oldFiles) if (!files.includes(file)) fs.rmSync(file, { force: true });
  fs.rmSync(path.join(version, OUTSIDE), { recursive: true });
}

/** Installs one staged file or link with a rename. */
function replace(version: string, file: string): void {
  makeDirectory(path.dirname(file));
  const beside = `${file}.new`;
  fs.rmSync(beside, { force: true });
  const staged = path.join(version, OUTSIDE, path.relative(PREFIX, file));
  if (fs.lstatSync(staged).isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(staged), beside);
  else copyFile(staged, beside);
  fs.renameSync(beside, file);
}

function removeOtherVersions(version: string): void {
  for (const entry of fs.readdirSync(VERSIONS, { withFileTypes: true })) {
    if (entry.isDirectory() && entry.name !== path.basename(version)) {
      fs.rmSync(path.join(VERSIONS, entry.name), { recursive: true });
    }
  }
}

/**
 * Enables new units and restarts the service. The sockets are never stopped: clients that connect during an upgrade
 * wait in the sockets' queues for the new daemon.
 */
function enableNewUnits(wasRunning: boolean): void {
  const known = readLines(ENABLED_UNITS);
  const added = UNITS.filter((unit) => !known.includes(unit));
  if (isSystemdRunning()) {
    run('systemctl', 'daemon-reload');
    if (added.length > 0) run('systemctl', 'enable', '--quiet', ...added);
    const enabled = UNITS.filter((unit) => succeeds('systemctl', 'is-enabled', '--quiet', unit));
    if (enabled.length > 0) run('systemctl', 'start', ...enabled);
    if (wasRunning) run('systemctl', 'restart', SERVICE_UNIT);
    say('Installed. As root or as a member of group cio:');
    say('  cio credential create aws');
  } else {
    if (added.length > 0) run('systemctl', '--root=/', 'enable', '--quiet', ...added);
    say('Installed. systemd is not running here, so nothing was started: that happens when this system boots.');
  }
  writeFile(ENABLED_UNITS, [...known, ...added].map((unit) => `${unit}\n`).join(''));
}
