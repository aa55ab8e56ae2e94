/**
 * `npm run test:host [-- PACKAGE.deb]`: installs the package on a booted systemd, and tests what it does there. Builds
 * the package unless one is given. Needs root; nothing of it stays on this host.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
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

const missing = skipUnless(
  root,
  command('systemd-nspawn', 'systemd-container'),
  command('nsenter', 'util-linux'),
  command('ss', 'iproute2'),
  command('dpkg-deb', 'dpkg'),
  command('python3'),
  command('restic'),
  command('aws', 'awscli'),
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
const { code, skipped } = await runTests(['test/host/host.test.ts']);
process.exitCode = skipped.length > 0 ? 1 : code;

/** The package to test, absolute. */
function packageFile(): string {
  const [given] = process.argv.slice(2);
  if (given !== undefined) return path.resolve(given);
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
