/**
 * `npm run test:host [-- [--root DIRECTORY] PACKAGE.deb]`: installs the package in a machine with a booted systemd, and
 * tests it there. Builds the package unless one is given. Needs root, and leaves nothing on this host.
 *
 * The machine has this host's systemd, or that in DIRECTORY, a root of another release as debootstrap(8) makes it.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { IN_NAMESPACES } from '../../test/host/support/machine.ts';
import { command, root, skipUnless } from '../../test/support/requirements.ts';
import { S3_SERVER } from '../../test/support/s3-server.ts';
import { runTests } from './node-test.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** The mounts that a machine needs. If the kernel forbids them, no systemd can be booted, not even by root. */
const PROBE =
  'mount -t tmpfs tmpfs /run && mkdir /run/u /run/w /run/m && mount -t overlay overlay -o lowerdir=/,upperdir=/run/u,workdir=/run/w /run/m';

/** How unshare(1) and mount(8) report EPERM. */
const FORBIDDEN = /^(?:unshare|mount): .*(?:operation not permitted|permission denied)/im;

/** Commands that are run in the machine, and the Debian packages that contain them. */
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
  if (!FORBIDDEN.test(reason)) fail(`no test was run: no machine can be created here: ${reason}`);
  process.stdout.write(
    `SKIPPED, all of test:host: the kernel does not allow a machine to be created here: ${reason}\n0 tests ran\n`,
  );
  process.exit(0);
}

// For host.test.ts: the runner passes no arguments to it.
process.env['CIO_DEB'] = packageFile();
process.env['CIO_HOST_ROOT'] = machineRoot;
const { code, skipped } = await runTests(['test/host/host.test.ts']);
process.exitCode = skipped.length > 0 ? 1 : code;

function parseOptions(): { readonly machineRoot: string; readonly deb: string | undefined } {
  const { values, positionals } = parseArgs({ options: { root: { type: 'string' } }, allowPositionals: true });
  if (positionals.length > 1) fail('usage: npm run test:host [-- [--root DIRECTORY] PACKAGE.deb]');
  return { machineRoot: path.resolve(values.root ?? '/'), deb: positionals[0] };
}

/** Returns the absolute path of the package to test, which is built unless one was given. */
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
