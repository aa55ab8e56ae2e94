import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cio } from './support/cio.ts';
import { DAEMON, daemonPid } from './support/daemon.ts';
import { PACKAGE_WORK, type Machine } from './support/machine.ts';

const ROOT_KEY = '/etc/credstore.encrypted/cio-credentiald.root-key';
const STATE = '/var/lib/cio-credentiald';

/** Path, mode and owner. These alone decide who may connect. */
const SOCKETS = [
  '/run/cio-credentiald/io.cio.Credentials 666 root:root',
  '/run/cio-credentiald/load 600 root:root',
  '/run/cio-credentiald/load-encrypted 600 root:root',
];

/** Path of the package inside the machine, in a folder that apt's unprivileged user can read. */
export const DEB = '/var/tmp/package/cio-credentiald.deb';

/** Installation of the package on a host that never had it. */
export function install(machine: Machine, deb: Uint8Array): void {
  test('`apt install` of the package succeeds without the checkout', async () => {
    await machine.writeFile(DEB, deb);
    await machine.succeed(['apt-get', 'install', '--yes', DEB], PACKAGE_WORK);
    assert.equal(
      await machine.succeed(['dpkg-query', '--show', '--showformat=${db:Status-Status}', 'cio-credentiald']),
      'installed',
    );
    assert.equal(await machine.succeed(['dpkg', '--verify', 'cio-credentiald']), '');
  });

  test("the machine has no Node other than the package's", async () => {
    const { code } = await machine.run(['sh', '-c', 'command -v node']);
    assert.notEqual(code, 0);
  });

  test('the sockets listen, each with its own mode, in a directory owned by root', async () => {
    for (const line of SOCKETS) {
      const [file = ''] = line.split(' ');
      assert.equal(await machine.succeed(['stat', '--format=%n %a %U:%G', file]), `${line}\n`);
      assert.match(await machine.succeed(['ss', '--listening', '--unix', '--no-header', 'src', file]), /LISTEN/);
    }
    assert.equal(await machine.succeed(['stat', '--format=%a %U:%G', '/run/cio-credentiald']), '755 root:root\n');
  });

  test('all units are enabled, so that they start at the next boot', async () => {
    const units = [
      DAEMON,
      'cio-credentiald.socket',
      'cio-credentiald-load.socket',
      'cio-credentiald-load-encrypted.socket',
    ];
    assert.equal(await machine.succeed(['systemctl', 'is-enabled', ...units]), 'enabled\n'.repeat(units.length));
  });

  test('the service is active, and its status text says that the store is open', async () => {
    const { ActiveState, StatusText, NRestarts } = await machine.show(DAEMON, 'ActiveState', 'StatusText', 'NRestarts');
    assert.deepEqual([ActiveState, StatusText, NRestarts], ['active', 'The store is open', '0']);
    assert.match(await machine.succeed(['systemctl', 'status', DAEMON]), /Status: "The store is open"/);
  });

  test('the daemon runs as its own user, without capabilities, under a seccomp filter, not dumpable', async () => {
    const pid = await daemonPid(machine);
    const status = await machine.succeed(['cat', `/proc/${pid}/status`]);
    const fieldOf = (text: string, name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
    const uid = (await machine.succeed(['id', '--user', 'cio-credentiald'])).trim();
    assert.notEqual(uid, '0');
    assert.equal(fieldOf(status, 'Uid'), Array(4).fill(uid).join('\t'));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.equal(fieldOf(status, set), '0'.repeat(16), set);
    }
    assert.equal(fieldOf(status, 'NoNewPrivs'), '1');
    assert.equal(fieldOf(status, 'Seccomp'), '2');
    // The container puts seccomp filters on the whole machine; the daemon must have more than those.
    const ofInit = await machine.succeed(['cat', '/proc/1/status']);
    assert.ok(Number(fieldOf(status, 'Seccomp_filters')) > Number(fieldOf(ofInit, 'Seccomp_filters')));
    assert.match(await machine.succeed(['grep', 'Max core file size', `/proc/${pid}/limits`]), /size\s+0\s+0\s/);
    // The kernel makes the /proc files of a process that is not dumpable owned by root.
    assert.equal(await machine.succeed(['stat', '--format=%U', `/proc/${pid}/environ`]), 'root\n');
  });

  test('the daemon has no network, and listens on its three sockets only', async () => {
    const pid = String(await daemonPid(machine));
    const own = await machine.succeed(['nsenter', '--target', pid, '--net', 'ip', '-brief', 'link']);
    assert.deepEqual(
      own
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/)[0]),
      ['lo'],
    );
    const listening = await machine.shell('ss --listening --processes --no-header | grep "pid=$1,"', pid);
    assert.equal(listening.trim().split('\n').length, SOCKETS.length, listening);
    for (const line of SOCKETS) assert.ok(listening.includes(line.split(' ')[0] ?? '?'), listening);
  });

  test('the root key is an encrypted systemd credential, the store has one slot for it, and no key is in a file', async () => {
    assert.equal(await machine.succeed(['stat', '--format=%a %U', ROOT_KEY]), '600 root\n');
    assert.doesNotMatch((await machine.readFile(ROOT_KEY)).toString(), /PRIVATE|root-key/);
    const { slots } = JSON.parse((await cio(machine, ['slot', 'list', '--json'])).stdout) as {
      slots: { kind: string }[];
    };
    assert.deepEqual(
      slots.map(({ kind }) => kind),
      ['systemd'],
    );
    const files = await machine.shell(`cd "$1"; find . -type f -printf '%f %m %u\\n' | sort`, STATE);
    assert.deepEqual(
      [
        ...new Set(
          files
            .trim()
            .split('\n')
            .map((line) => line.replace(/^credentials\.db-(?:wal|shm)/, 'credentials.db')),
        ),
      ],
      ['credentials.db 600 cio-credentiald', 'lock 600 cio-credentiald'],
    );
    assert.equal(await machine.succeed(['stat', '--format=%a %U:%G', STATE]), '700 cio-credentiald:cio-credentiald\n');
  });

  test('installing the same package again changes neither key nor store', async () => {
    const before = await machine.succeed(['sha256sum', ROOT_KEY]);
    await machine.succeed(['dpkg', '--install', DEB], PACKAGE_WORK);
    assert.equal(await machine.succeed(['sha256sum', ROOT_KEY]), before);
    assert.equal((await machine.show(DAEMON, 'StatusText')).StatusText, 'The store is open');
  });
}
