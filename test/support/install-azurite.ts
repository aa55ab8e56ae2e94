/** Installs Azurite for the tests from the registry, once per release. Takes about three minutes. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { AZURITE_FOLDER, AZURITE_PACKAGE, AZURITE_PROGRAM } from './azurite-server.ts';

/**
 * Pins the dependencies to their versions on this day, since a registry may list newer versions before it can deliver
 * them.
 */
const BEFORE = '2026-09-01';

if (!fs.existsSync(AZURITE_PROGRAM)) process.exitCode = install();

/** Installs without running scripts: the optional database drivers are not needed for blobs. */
function install(): number {
  fs.mkdirSync(AZURITE_FOLDER, { recursive: true });
  fs.writeFileSync(path.join(AZURITE_FOLDER, 'package.json'), '{"private":true}\n');
  const options = [
    `--before=${BEFORE}`,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--omit=dev',
    '--omit=optional',
  ];
  const command = ['install', ...options, AZURITE_PACKAGE];
  return spawnSync('npm', command, { cwd: AZURITE_FOLDER, stdio: 'inherit' }).status ?? 1;
}
