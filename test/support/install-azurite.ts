/** Installs Azurite for the tests from the registry, once per release. Takes about three minutes. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { AZURITE_FOLDER, AZURITE_PACKAGE, AZURITE_PROGRAM } from './azurite-server.ts';
import { installServer } from './server-folder.ts';

/**
 * Pins the dependencies to their versions on this day, since a registry may list newer versions before it can deliver
 * them.
 */
const BEFORE = '2026-09-01';

process.exitCode = installServer(AZURITE_FOLDER, AZURITE_PROGRAM, install);

/** Installs without running scripts: the optional database drivers are not needed for blobs. */
function install(folder: string): number {
  fs.writeFileSync(path.join(folder, 'package.json'), '{"private":true}\n');
  const options = [
    `--before=${BEFORE}`,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--omit=dev',
    '--omit=optional',
  ];
  const command = ['install', ...options, AZURITE_PACKAGE];
  return spawnSync('npm', command, { cwd: folder, stdio: 'inherit' }).status ?? 1;
}
