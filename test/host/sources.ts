import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { DAEMON } from './support/daemon.ts';
import { PACKAGE_WORK, type Machine } from './support/machine.ts';
import { DEB } from './install.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');
const CHECKOUT = '/srv/checkout';
const PACKAGED = '/usr/lib/cio-credentiald';
const LOCAL = '/usr/local/lib/cio-credentiald';
const SOCKETS = ['cio-credentiald.socket', 'cio-credentiald-load.socket', 'cio-credential-prober.socket'];

/** Makes the layout of `install:host`, from the installed package. */
const INSTALL_LOCAL = `
  version=$2-versions/1; units=/usr/local/lib/systemd/system
  mkdir -p "$version" "$units"
  cp -a "$1"/. "$version"
  ln -s cio-credentiald-versions/1 "$2"
  for unit in /usr/lib/systemd/system/*cio[-_]credential*; do
    sed -e "s#$1/#$2/#g" -e 's#^ExecPaths=.*#& /usr/local/lib#' "$unit" > "$units/\${unit##*/}"
    echo "$units/\${unit##*/}" >> "$version/installed-files"
  done
  systemctl daemon-reload
  systemctl reenable --quiet cio-credentiald.service
  systemctl restart cio-credentiald.service
`;

/** The package together with an installation by `npm run install:host`. systemd finds the units in /usr/local first. */
export function sources(machine: Machine): void {
  const installLocal = (): Promise<string> =>
    machine.succeed(['sh', '-euc', INSTALL_LOCAL, 'sh', PACKAGED, LOCAL], PACKAGE_WORK);
  const program = async (): Promise<string> => {
    const { MainPID } = await machine.show(DAEMON, 'MainPID');
    return machine.succeed(['readlink', `/proc/${MainPID}/exe`]);
  };
  const uninstall = (...args: string[]): ReturnType<Machine['run']> =>
    machine.run([
      `${PACKAGED}/node_modules/node-linux-${process.arch}/bin/node`,
      `${CHECKOUT}/tools/tasks/uninstall-host.ts`,
      ...args,
    ]);
  const assertRuns = async (directory: string): Promise<void> => {
    assert.equal(await machine.succeed(['systemctl', 'is-active', DAEMON, ...SOCKETS]), 'active\n'.repeat(4));
    assert.ok((await program()).startsWith(directory), await program());
  };

  test('the package warns that the installation of install:host is used in its place', async () => {
    await installLocal();
    const { code, stderr } = await machine.run(['dpkg', '--install', DEB], PACKAGE_WORK);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: \/usr\/local\/lib\/cio-credentiald is used/);
    await assertRuns(LOCAL);
  });

  test('uninstall:host removes only its own files, and the package takes over with sockets and store', async () => {
    const files = execFileSync('tar', ['-C', REPOSITORY, '-cf', '-', 'package.json', 'tools/tasks']);
    await machine.succeed(['mkdir', '-p', CHECKOUT]);
    await machine.succeed(['tar', '-C', CHECKOUT, '-xf', '-'], { input: files });
    const store = await machine.succeed(['stat', '--format=%i', '/var/lib/cio-credentiald/credentials.db']);

    const purge = await uninstall('--purge');
    assert.equal(purge.code, 1);
    assert.match(purge.stderr, /it uses the store; nothing was removed/);
    await assertRuns(LOCAL);

    const { code, stderr } = await uninstall();
    assert.equal(code, 0, stderr);
    await assertRuns(PACKAGED);
    assert.equal(await machine.succeed(['systemctl', 'is-enabled', DAEMON, ...SOCKETS]), 'enabled\n'.repeat(4));
    assert.equal(await machine.shell(`find /usr/local /etc/systemd -name '*cio*' -lname '/usr/local/*'`), '');
    assert.equal(await machine.exists(LOCAL), false);
    assert.equal(await machine.succeed(['stat', '--format=%i', '/var/lib/cio-credentiald/credentials.db']), store);
  });

  test('removing the package leaves the installation of install:host running', async () => {
    await installLocal();
    await machine.succeed(['dpkg', '--remove', 'cio-credentiald'], PACKAGE_WORK);
    await assertRuns(LOCAL);
  });
}
