/**
 * `npm run package:deb [-- --version VERSION] [--fast]`: builds build/cio-credentiald_VERSION_ARCH.deb, with everything
 * that a host needs. The last line on standard output is the path of the package.
 *
 * VERSION is that of package.json by default; another one is only useful to test an upgrade. With --fast, for tests,
 * packing takes a fifth of the time, and the package is half as large again.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { debianChangelog } from './deb-changelog.ts';
import { debianCopyright } from './deb-copyright.ts';
import { productionPackages } from './production-packages.ts';
import { packageVersion, PROGRAM_DIRECTORY, stageCommands, stageProgram, stageUnits, verifyProgram } from './stage.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const BUILD = path.join(ROOT, 'build');
const NAME = 'cio-credentiald';

/** The programs that are run here, and the Debian packages that contain them. */
const TOOLS = { 'dpkg-buildpackage': 'dpkg-dev', dh: 'debhelper', fakeroot: 'fakeroot' } as const;

/** Letters, digits and the punctuation of semver. In a Debian version, a dash would begin the revision. */
const VERSION = /^\d[\w.+~-]*$/;

requireTools();
const { version, isFast } = parseOptions();
fs.mkdirSync(BUILD, { recursive: true });
const folder = fs.mkdtempSync(path.join(BUILD, 'deb-'));
try {
  const source = path.join(folder, NAME);
  layOutSource(source);
  buildPackage(source);
  const [deb] = fs.globSync('*.deb', { cwd: folder });
  if (deb === undefined) throw new Error(`dpkg-buildpackage made no package in ${folder}`);
  fs.renameSync(path.join(folder, deb), path.join(BUILD, deb));
  process.stdout.write(`${path.join('build', deb)}\n`);
} finally {
  fs.rmSync(folder, { recursive: true });
}

function layOutSource(source: string): void {
  const usr = path.join(source, 'staged', 'usr');
  const program = path.join(usr, 'lib', PROGRAM_DIRECTORY);
  stageProgram(program, '/usr');
  verifyProgram(program);
  stageCommands(usr, program, true);
  stageUnits(usr, '/usr');
  // debhelper of Debian 12 looks for units in /lib only; debian/rules moves them back.
  fs.mkdirSync(path.join(source, 'staged', 'lib', 'systemd'), { recursive: true });
  fs.renameSync(path.join(usr, 'lib/systemd/system'), path.join(source, 'staged/lib/systemd/system'));
  fs.rmdirSync(path.join(usr, 'lib/systemd'));

  const debian = path.join(source, 'debian');
  fs.cpSync(path.join(ROOT, 'packaging', 'debian'), debian, { recursive: true });
  const changes = fs.readFileSync(path.join(ROOT, 'CHANGELOG.md'), 'utf8');
  fs.writeFileSync(path.join(debian, 'changelog'), debianChangelog(changes, version, now()));
  const own = fs.readFileSync(path.join(debian, 'copyright'), 'utf8');
  fs.writeFileSync(path.join(debian, 'copyright'), debianCopyright(own, ROOT, productionPackages(ROOT)));
}

function buildPackage(source: string): void {
  const args = ['--build=binary', '--no-sign'];
  const env = isFast ? { ...process.env, CIO_DEB_FAST: '1' } : process.env;
  const { status, stdout, stderr } = spawnSync('dpkg-buildpackage', args, { cwd: source, env, encoding: 'utf8' });
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}`);
  throw new Error('dpkg-buildpackage failed, see above');
}

function requireTools(): void {
  const folders = (process.env['PATH'] ?? '').split(':');
  const missing = Object.entries(TOOLS).filter(
    ([tool]) => !folders.some((directory) => fs.existsSync(path.join(directory, tool))),
  );
  if (missing.length === 0) return;
  const packages = missing.map(([, name]) => name).join(' ');
  process.stderr.write(
    `Building a Debian package needs ${missing.map(([tool]) => tool).join(', ')}. Install them:\n` +
      `  sudo apt-get install --no-install-recommends ${packages}\n`,
  );
  process.exit(1);
}

function parseOptions(): { readonly version: string; readonly isFast: boolean } {
  const { values } = parseArgs({ options: { version: { type: 'string' }, fast: { type: 'boolean' } } });
  const given = values.version ?? packageVersion();
  if (!VERSION.test(given)) throw new Error(`${given} is not a version: it looks like 1.2.3 or 1.2.3-rc.1`);
  return { version: given, isFast: values.fast === true };
}

/** The time of a reproducible build (https://reproducible-builds.org/specs/source-date-epoch/), or now. */
function now(): Date {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  return epoch === undefined ? new Date() : new Date(Number(epoch) * 1000);
}
