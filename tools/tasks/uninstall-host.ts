/**
 * `sudo npm run uninstall:host [-- --purge]`: takes away what `install:host` installed. The store and its key stay, for
 * another installation, unless --purge says otherwise; the user and the groups stay in any case.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  HostError,
  installedFiles,
  installedVersion,
  isSystemdRunning,
  PROGRAM_LINK,
  requireOwnHost,
  run,
  runTask,
  say,
  STATE,
  UNITS,
  VERSIONS,
} from './host.ts';

/** The sockets' directory: a stopped socket leaves its file. */
const RUNTIME_DIRECTORY = '/run/cio-credentiald';

const EXIT_USAGE = 2;

runTask(() => {
  const isPurge = parsePurge();
  requireOwnHost('uninstall:host');
  const version = installedVersion();
  if (version === undefined && !isPurge) {
    say(`Nothing to do: ${PROGRAM_LINK} is not there.`);
    return;
  }
  if (version !== undefined) removeProgram(version);
  fs.rmSync(VERSIONS, { recursive: true, force: true });
  if (isPurge) {
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
  // An install that was interrupted may have left some of them.
  const units = UNITS.filter((unit) => files.some((file) => path.basename(file) === unit && fs.existsSync(file)));
  if (units.length > 0) {
    if (isSystemdRunning()) {
      run('systemctl', 'daemon-reload');
      run('systemctl', 'disable', '--quiet', '--now', ...units);
    } else {
      run('systemctl', '--root=/', 'disable', '--quiet', ...units);
    }
  }
  for (const file of files) fs.rmSync(file, { force: true });
  fs.rmSync(PROGRAM_LINK);
  fs.rmSync(RUNTIME_DIRECTORY, { recursive: true, force: true });
  if (isSystemdRunning()) run('systemctl', 'daemon-reload');
}
