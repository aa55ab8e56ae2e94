/**
 * `npm run test:host [-- [--root DIRECTORY] PACKAGE.deb]`: installs the package on a booted systemd, and tests what it
 * does there. Builds the package unless one is given. Needs root; nothing of it stays on this host.
 *
 * The systemd is this host's, unless DIRECTORY has the root of another release, as debootstrap(8) makes it.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { IN_NAMESPACES } from '../../test/host/support/machine.ts';
import { command, root, skipUnless } from '../../test/support/requirements.ts';
import { S3_SERVER } from '../../test/support/s3-server.ts';
import { runTests } from './node-test.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** What a machine is made of; where the kernel forbids this, no systemd can be booted, whoever asks. */
const PROBE =
  'mount -t tmpfs tmpfs /run && mkdir /run/u /run/w /run/m && mount -t overlay overlay -o lowerdir=/,upperdir=/run/u,workdir=/run/w /run/m';

/** EPERM, in the words of unshare(1) and mount(8). */
const FORBIDDEN = /^(?:unshare|mount): .*(?:operation not permitted|permission denied)/im;

/** Commands that are run in the machine, and the Debian packages that have them. */
const IN_MACHINE = {
  systemctl: 'systemd',
  'dbus-daemon': 'dbus',
  ss: 'iproute2',
  pgrep: 'procps',
  'dpkg-deb': 'dpkg',
  python3: 'python3',
  restic: 'restic',
  aws: 'awscli',
} as const;

const { machineRoot, deb } = parseOptions();
const missing = skipUnless(
  root,
  command('systemd-nspawn', 'systemd-container'),
  command('nsenter', 'util-linux'),
  ...Object.entries(IN_MACHINE).map(([name, debianPackage]) => command(name, debianPackage, machineRoot)),
  ...S3_SERVER,
);
if (missing !== false) fail(`no test was run: test:host ${missing}`);

const [first, ...rest] = IN_NAMESPACES;
const probe = spawnSync(first, [...rest, 'sh', '-c', PROBE], { encoding: 'utf8' });
if (probe.status !== 0) {
  const reason = probe.stderr.trim();
  if (!FORBIDDEN.test(reason)) fail(`no test was run: a machine cannot be made here: ${reason}`);
  process.stdout.write(
    `SKIPPED, all of test:host: the kernel forbids to make a machine here: ${reason}\n0 tests ran\n`,
  );
  process.exit(0);
}

// For host.test.ts, which the runner passes no arguments.
process.env['CIO_DEB'] = packageFile();
process.env['CIO_HOST_ROOT'] = machineRoot;
const { code, skipped } = await runTests(['test/host/host.test.ts']);
process.exitCode = skipped.length > 0 ? 1 : code;

function parseOptions(): { readonly machineRoot: string; readonly deb: string | undefined } {
  const { values, positionals } = parseArgs({ options: { root: { type: 'string' } }, allowPositionals: true });
  if (positionals.length > 1) fail('usage: npm run test:host [-- [--root DIRECTORY] PACKAGE.deb]');
  return { machineRoot: path.resolve(values.root ?? '/'), deb: positionals[0] };
}

/** The package to test, absolute. */
function packageFile(): string {
  if (deb !== undefined) return path.resolve(deb);
  const task = path.join(import.meta.dirname, 'package-deb.ts');
  const { status, stdout } = spawnSync(process.execPath, [task], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const built = stdout.trim().split('\n').at(-1);
  if (status !== 0 || built === undefined) fail('no test was run: the package was not built, see above');
  return path.resolve(ROOT, built);
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
