/**
 * `sudo npm run uninstall:host [-- --purge]`: removes what `install:host` installed. The store and its key are kept for
 * another installation, unless --purge is given. The user and the groups are kept in any case.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  HostError,
  installedFiles,
  installedVersion,
  isPackageInstalled,
  isSystemdRunning,
  PROBERS_SLICE,
  PROGRAM_LINK,
  requireRoot,
  run,
  runTask,
  say,
  SERVICE_UNIT,
  STATE,
  succeeds,
  UNITS,
  VERSIONS,
} from './host.ts';

/** The directory of the sockets, whose files remain when systemd stops them. */
const RUNTIME_DIRECTORY = '/run/cio-credentiald';

const EXIT_USAGE = 2;

runTask(() => {
  const isPurge = parsePurge();
  requireRoot('uninstall:host');
  const version = installedVersion();
  const hasPackage = isPackageInstalled();
  if (hasPackage && isPurge) {
    throw new HostError(
      'The Debian package of cio-credentiald is installed here, and it uses the store; nothing was removed.\n' +
        '  To remove what install:host installed, and go on with the package: npm run uninstall:host\n' +
        '  To remove the package with the store after that: apt purge cio-credentiald',
    );
  }
  if (version === undefined && !isPurge) {
    say(`Nothing to do: ${PROGRAM_LINK} does not exist.`);
    return;
  }
  if (version !== undefined && hasPackage) handOverToPackage(version);
  else if (version !== undefined) removeProgram(version);
  fs.rmSync(VERSIONS, { recursive: true, force: true });
  if (hasPackage) {
    say('Removed. The Debian package goes on with the store.');
  } else if (isPurge) {
    for (const place of STATE) fs.rmSync(place, { recursive: true, force: true });
    say('Removed, with the store and its key.');
  } else {
    say(`Removed. Kept: ${STATE.join(' and ')}; npm run uninstall:host -- --purge removes these too.`);
  }
});

function parsePurge(): boolean {
  try {
    return parseArgs({ options: { purge: { type: 'boolean' } } }).values.purge === true;
  } catch {
    throw new HostError('usage: npm run uninstall:host [-- --purge]', EXIT_USAGE);
  }
}

function removeProgram(version: string): void {
  const files = installedFiles(version);
  // An interrupted installation may have only some of them.
  const units = UNITS.filter((unit) => files.some((file) => path.basename(file) === unit && fs.existsSync(file)));
  if (units.length > 0) {
    if (isSystemdRunning()) {
      run('systemctl', 'daemon-reload');
      run('systemctl', 'disable', '--quiet', '--now', ...units);
      // Also stops validations that still run in the slice, which an installation may not have.
      const slice = files.find((file) => path.basename(file) === PROBERS_SLICE);
      if (slice !== undefined && fs.existsSync(slice)) run('systemctl', 'stop', PROBERS_SLICE);
    } else {
      run('systemctl', '--root=/', 'disable', '--quiet', ...units);
    }
  }
  for (const file of files) fs.rmSync(file, { force: true });
  fs.rmSync(PROGRAM_LINK);
  fs.rmSync(RUNTIME_DIRECTORY, { recursive: true, force: true });
  if (isSystemdRunning()) run('systemctl', 'daemon-reload');
}

/**
 * Removes the program if the Debian package was installed later. Until then, the files in /usr/local took precedence.
 * The package takes over the sockets as they are.
 */
function handOverToPackage(version: string): void {
  const where = isSystemdRunning() ? [] : ['--root=/'];
  const enabled = UNITS.filter((unit) => succeeds('systemctl', ...where, 'is-enabled', '--quiet', unit));
  for (const file of installedFiles(version)) fs.rmSync(file, { force: true });
  // A unit is enabled by a link to its file, which has another path now.
  if (enabled.length > 0) run('systemctl', ...where, 'reenable', '--quiet', ...enabled);
  if (isSystemdRunning()) {
    run('systemctl', 'daemon-reload');
    run('systemctl', 'try-restart', SERVICE_UNIT);
  }
  // Last, because the link shows a second attempt that something is left to do.
  fs.rmSync(PROGRAM_LINK);
}
