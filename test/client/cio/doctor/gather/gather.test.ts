import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { lookAtClock } from '../../../../../client/cio/doctor/gather/clock.ts';
import { lookAt, lookThrough, readText, trySee } from '../../../../../client/cio/doctor/gather/files.ts';
import { mountOf } from '../../../../../client/cio/doctor/gather/mounts.ts';
import {
  holdsSocket,
  lookAtProcess,
  parseStatus,
  unitOfCgroup,
} from '../../../../../client/cio/doctor/gather/process.ts';
import { lookAtEnvironmentFiles, lookAtSecretFiles } from '../../../../../client/cio/doctor/gather/secret-files.ts';
import { ask, parseProperties } from '../../../../../client/cio/doctor/gather/run.ts';
import { lookAtStore } from '../../../../../client/cio/doctor/gather/store.ts';
import { lookAtSwap, swapNames } from '../../../../../client/cio/doctor/gather/swap.ts';
import { connect } from '../../../../../client/index.ts';
import { privateMounts } from '../../../../daemon/access/personas.ts';
import { startDaemon } from '../../../../support/daemon.ts';
import { forAllUsers } from '../../../../support/checkout-for-all.ts';
import { asIdentity } from '../../../../support/identity.ts';
import { runSuccessfully } from '../../../../support/process.ts';
import { command, findCommand, root, skipUnless, tracingOfOthers } from '../../../../support/requirements.ts';
import type { Scope } from '../../../../support/scope.ts';
import { temporaryDirectory } from '../../../../support/temporary-directory.ts';
import { lookAtSystemd } from '../../../../../client/cio/doctor/gather/systemd.ts';
import { unitFile, unitScan } from '../host.ts';

describe('lookAt() and readText()', () => {
  it('see a file, and the absence of one', (context) => {
    const folder = temporaryDirectory(context);
    const file = path.join(folder, 'file');
    fs.writeFileSync(file, 'text', { mode: 0o640 });
    const uid = process.geteuid?.() ?? 0;
    assert.deepEqual(lookAt(file), { value: { path: file, kind: 'file', uid, mode: 0o640 } });
    for (const absent of [path.join(folder, 'absent'), path.join(file, 'below')]) {
      assert.deepEqual([lookAt(absent), readText(absent, 10)], [{ value: undefined }, { value: undefined }]);
    }
    assert.deepEqual([readText(file, 10), readText(file, 2)], [{ value: 'text' }, { value: 'te' }]);
  });

  it('tell the kind of a file, and leave no descriptor open', async (context) => {
    const folder = temporaryDirectory(context);
    const socket = path.join(folder, 's');
    const server = net.createServer().listen(socket);
    context.after(() => server.close());
    await once(server, 'listening');
    const kindOf = (file: string): string | undefined => {
      const seen = lookAt(file);
      return 'value' in seen ? seen.value?.kind : seen.unseen;
    };
    assert.deepEqual([folder, socket, '/dev/null'].map(kindOf), ['directory', 'socket', 'other']);
    const open = (): number => fs.readdirSync('/proc/self/fd').length;
    const before = open();
    for (const file of ['/etc/passwd', '/dev/null', folder]) readText(file, 1);
    assert.equal(open(), before);
    const loop = path.join(folder, 'loop');
    fs.symlinkSync('loop', loop);
    assert.deepEqual(lookThrough(loop), { unseen: `${loop} cannot be read (ELOOP)` });
  });

  it('look at a symbolic link itself, or through it', (context) => {
    const folder = temporaryDirectory(context);
    fs.writeFileSync(path.join(folder, 'file'), '', { mode: 0o604 });
    const link = path.join(folder, 'link');
    fs.symlinkSync('file', link);
    const [itself, target] = [lookAt(link), lookThrough(link)];
    assert.ok('value' in itself && 'value' in target);
    assert.deepEqual([itself.value?.kind, target.value?.kind, target.value?.mode], ['other', 'file', 0o604]);
  });

  it('read nothing but regular files, and never block', (context) => {
    const folder = temporaryDirectory(context);
    execFileSync('mkfifo', [path.join(folder, 'pipe')]);
    for (const file of [folder, path.join(folder, 'pipe'), '/dev/zero']) {
      assert.deepEqual(readText(file, 10), { value: undefined });
    }
  });

  it('say why something could not be seen', (context) => {
    const loop = path.join(temporaryDirectory(context), 'loop');
    fs.symlinkSync('loop', loop);
    assert.deepEqual(readText(loop, 10), { unseen: `${loop} cannot be read (ELOOP)` });
    for (const [thrown, unseen] of [
      [Object.assign(new Error('x'), { code: 'EACCES' }), '/x cannot be read (permission denied)'],
      [Object.assign(new Error('x'), { code: 'EPERM' }), '/x cannot be read (operation not permitted)'],
      [Object.assign(new Error('x'), { code: 'EIO', path: '/y' }), '/y cannot be read (EIO)'],
      [new RangeError('x'), '/x cannot be read (RangeError)'],
      ['x', '/x cannot be read (unknown error)'],
    ] as const) {
      const seen = trySee('/x', () => {
        throw thrown;
      });
      assert.deepEqual(seen, { unseen });
    }
  });
});

describe('reasonFor()', () => {
  it('names the folder or the file whose permissions are missing', { skip: skipUnless(root) }, async (context) => {
    const folder = temporaryDirectory(context);
    const [closed, unreadable] = ['closed', 'unreadable'].map((name) => path.join(folder, name)) as [string, string];
    fs.mkdirSync(path.join(closed, 'within'), { recursive: true });
    fs.mkdirSync(unreadable);
    fs.writeFileSync(path.join(unreadable, 'file'), '', { mode: 0o640 });
    for (const [place, mode] of [
      [folder, 0o755],
      [closed, 0o744],
      [unreadable, 0o711],
    ] as const)
      fs.chmodSync(place, mode);
    const module = path.join(import.meta.dirname, '../../../../../client/cio/doctor/gather/files.ts');
    const [node = '', open = ''] = forAllUsers(context, [process.execPath, module]);
    const reasonsOf = async (...paths: readonly string[]): Promise<unknown> => {
      const script = `import(${JSON.stringify(open)}).then((m) => {
        const seen = ${JSON.stringify(paths)}.map((path) => [m.lookAt(path), m.readText(path, 1)]);
        console.log(JSON.stringify(seen.flat().map(({ unseen }) => unseen ?? 'seen')));
      })`;
      const command = asIdentity({ uid: 65534, gid: 65534 }, [node, '--eval', script]);
      return JSON.parse(await runSuccessfully(command));
    };
    const within = path.join(closed, 'within/file');
    const file = path.join(unreadable, 'file');
    const noSearch = `${within} cannot be read (no search permission for ${closed})`;
    const seen = await reasonsOf(within, file);
    assert.deepEqual(seen, [noSearch, noSearch, 'seen', `${file} cannot be read (permission denied)`]);
  });
});

describe('ask()', () => {
  it('returns what a command prints', () => assert.deepEqual(ask('printf', ['%s', 'x']), { value: 'x' }));

  for (const [what, command, args, unseen] of [
    ['is not there', 'cio-no-such-command', [], 'there is no command cio-no-such-command'],
    ['fails', 'false', [], 'false  failed'],
    ['hangs', 'sh', ['-c', 'trap "" TERM; sleep 60'], 'sh did not answer within 2 s'],
    ['leaves its output to another one', 'sh', ['-c', 'sleep 5 & exit 0'], 'sh did not answer within 2 s'],
    ['prints without an end', 'yes', [], 'yes cannot be run (ENOBUFS)'],
  ] as const) {
    it(`gives the reason for a command that ${what}`, { timeout: 10_000 }, () => {
      assert.deepEqual(ask(command, args), { unseen });
    });
  }
});

describe('parseProperties()', () => {
  it('splits at the first equals sign', () => {
    assert.deepEqual(
      [...parseProperties('A=1=2\nB=\nnonsense\n')],
      [
        ['A', '1=2'],
        ['B', ''],
      ],
    );
  });
});

describe('mountOf()', () => {
  const MOUNTINFO = String.raw`21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 21 0:40 / /srv rw - nfs4 server:/srv rw,vers=4.2
33 21 0:43 / /srv/deep rw - xfs /dev/sdd1 rw
34 21 0:44 / /sr ro - vfat /dev/sde1 rw
35 1 0:45 / / rw - ext4 /dev/sda1 rw,errors=remount-ro
31 21 0:41 / /with\040blank ro,nosuid - vfat /dev/disk/a\040b rw
32 30 0:42 / /srv rw shared:2 master:3 - btrfs /dev/sdc1 ro
garbage
`;
  for (const [place, type, isReadOnly, source] of [
    ['/var/lib/x', 'ext4', false, '/dev/sda1'],
    ['/srv', 'btrfs', true, '/dev/sdc1'],
    ['/srv/x', 'btrfs', true, '/dev/sdc1'],
    ['/srv/deep/x', 'xfs', false, '/dev/sdd1'],
    ['/sr', 'vfat', true, '/dev/sde1'],
    ['/srvx', 'ext4', false, '/dev/sda1'],
    ['/with blank/x', 'vfat', true, '/dev/disk/a b'],
  ] as const) {
    it(`finds ${type} for ${place}`, () => assert.deepEqual(mountOf(MOUNTINFO, place), { type, source, isReadOnly }));
  }

  it('returns undefined for an empty table', () => assert.equal(mountOf('', '/x'), undefined));
});

describe('swapNames() and lookAtSwap()', () => {
  it('read the names below the heading', () => {
    const text = 'Filename\tType\tSize\tUsed\tPriority\n/dev/sda2   partition 1 0 -2\n/swap\\040file file 1 0 -3\n';
    assert.deepEqual(swapNames(text), ['/dev/sda2', '/swap\\040file']);
    assert.deepEqual(swapNames('Filename\tType\n'), []);
  });

  it('tell which swap devices write nothing to a disk in clear', (context) => {
    const host = temporaryDirectory(context);
    const write = (name: string, text: string): void => {
      fs.mkdirSync(path.dirname(path.join(host, name)), { recursive: true });
      fs.writeFileSync(path.join(host, name), text);
    };
    const link = (target: string, name: string): void => {
      fs.mkdirSync(path.dirname(path.join(host, name)), { recursive: true });
      fs.symlinkSync(target, path.join(host, name));
    };
    for (const device of ['dm-0', 'dm-1', 'dm-2', 'dm-3', 'zram0', 'zram1', 'zram2', 'myzram3', 'zram4p', 'sda2']) {
      fs.mkdirSync(path.join(host, 'dev', device), { recursive: true });
      fs.mkdirSync(path.join(host, 'sys/class/block', device, 'slaves'), { recursive: true });
    }
    write('sys/class/block/zram0/backing_dev', 'none\n');
    write('sys/class/block/zram1/backing_dev', '/dev/sdb1\n');
    // A device that is absent from a container's /dev, and present in its host's only.
    write('sys/class/block/zram9/backing_dev', 'none\n');
    // dm-0: LUKS on a disk; dm-1: a volume in it; dm-2: a volume on it and on a bare disk; dm-3: a volume on nothing.
    write('sys/class/block/dm-0/dm/uuid', 'CRYPT-LUKS2-0123-x\n');
    link('../../sda2', 'sys/class/block/dm-0/slaves/sda2');
    for (const volume of ['dm-1', 'dm-2', 'dm-3']) write(`sys/class/block/${volume}/dm/uuid`, 'LVM-0123\n');
    link('../../dm-0', 'sys/class/block/dm-1/slaves/dm-0');
    link('../../dm-0', 'sys/class/block/dm-2/slaves/dm-0');
    link('../../sda2', 'sys/class/block/dm-2/slaves/sda2');
    link('../dm-1', 'dev/mapper/swap');
    write('swapfile', '');
    const names = [
      'zram0',
      'zram1',
      'zram2',
      'myzram3',
      'zram4p',
      'dm-0',
      'mapper/swap',
      'dm-2',
      'dm-3',
      'sda2',
      'gone',
      'zram9',
    ].map((name) => `/dev/${name}`);
    write('proc/swaps', `Filename Type\n${[...names, '/swapfile'].map((name) => `${name} x 1 0 -2\n`).join('')}`);
    const protections = (): string[] => {
      const seen = lookAtSwap(host);
      assert.ok('value' in seen);
      assert.deepEqual(
        seen.value.map(({ name }) => name),
        [...names, '/swapfile'],
      );
      return seen.value.map(({ protection }) => protection);
    };
    const devices = [
      'memory',
      'none',
      'memory',
      'none',
      'none',
      'encrypted',
      'encrypted',
      'none',
      'none',
      'none',
      'none',
      'memory',
    ];
    assert.deepEqual(protections(), [...devices, 'none']);
    const numbers = execFileSync('stat', ['--format=%Hd:%Ld', path.join(host, 'swapfile')], {
      encoding: 'utf8',
    }).trim();
    link('../../class/block/dm-1', `sys/dev/block/${numbers}`);
    assert.deepEqual(protections(), [...devices, 'encrypted']);

    // On Btrfs, the file's device number is not that of a block device.
    fs.rmSync(path.join(host, `sys/dev/block/${numbers}`));
    write('proc/self/mountinfo', '43 27 0:40 / / rw - btrfs /dev/mapper/swap rw,subvol=/\n');
    fs.mkdirSync(path.join(host, 'sys/fs/btrfs/features'), { recursive: true });
    assert.deepEqual(protections(), [...devices, 'none']);
    link('../../../../class/block/dm-2', 'sys/fs/btrfs/another/devices/dm-2');
    assert.deepEqual(protections(), [...devices, 'none']);
    link('../../../../class/block/dm-1', 'sys/fs/btrfs/this/devices/dm-1');
    assert.deepEqual(protections(), [...devices, 'encrypted']);
    link('../../../../class/block/sda2', 'sys/fs/btrfs/this/devices/sda2');
    assert.deepEqual(protections(), [...devices, 'none'], 'one of two disks is bare');
  });

  it('see the swap devices of this kernel', () => {
    assert.deepEqual(lookAtSwap('/nonexistent'), { unseen: '/nonexistent/proc/swaps cannot be read (ENOENT)' });
    const expected = fs.readFileSync('/proc/swaps', 'utf8').trim().split('\n').length - 1;
    const seen = lookAtSwap();
    assert.ok('value' in seen);
    assert.equal(seen.value.length, expected);
  });
});

describe('unitOfCgroup() and parseStatus()', () => {
  for (const [text, unit] of [
    ['0::/system.slice/cio-credentiald.service\n', 'cio-credentiald.service'],
    ['1:name=systemd:/user.slice/user-0.slice/session-1.scope\n', 'session-1.scope'],
    ['0::/\n', undefined],
    ['0::/\n1:name=systemd:/system.slice/x.service\n', 'x.service'],
    ['10::/a.service\n2:cpu:/b.service\n', undefined],
    ['1:name=systemd:/../../x\n', 'x'],
    ['0::/..\n', undefined],
    ['0::/..a.service\n', '..a.service'],
    ['0::/system.slice/a.slices.service\n', 'a.slices.service'],
    ['', undefined],
  ] as const) {
    it(`finds ${unit}`, () => assert.equal(unitOfCgroup(text), unit));
  }

  it('parseStatus() reads the fields', () => {
    const fields = parseStatus('Name:\ta:b\nUid:\t0\t1\t2\t3\nnonsense\n\n');
    assert.deepEqual(
      [...fields],
      [
        ['Name', 'a:b'],
        ['Uid', '0\t1\t2\t3'],
      ],
    );
  });
});

/** A stand-in for `systemctl show`: prints the requested properties of the requested units. */
const SYSTEMCTL = `#!/bin/sh
cd "\${0%/*}" || exit
[ "$1" = --version ] && exec cat version
[ "$1" = show ] || exit
shift
while [ $# -gt 0 ]; do
  if [ "$1" = -p ]; then names="$names|$2"; shift; else units="$units $1"; fi
  shift
done
for unit in $units; do
  printf "$between"
  between='\\n'
  grep -E "^(\${names#|})=" "$unit" || exit
done
`;

/** Puts these programs before those of this host in PATH, and returns their folder. */
function install(scope: Scope, files: Readonly<Record<string, string>>): string {
  const folder = temporaryDirectory(scope);
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text, { mode: 0o755 });
  const before = process.env['PATH'];
  process.env['PATH'] = `${folder}:${before}`;
  scope.after(() => {
    process.env['PATH'] = before;
  });
  return folder;
}

describe('lookAtSystemd()', () => {
  it('tells whether systemd runs this host, and queries it only then', () => {
    const { isRunning, version, service, socketUnits, dropIns } = lookAtSystemd();
    assert.equal(isRunning, fs.existsSync('/run/systemd/system'));
    assert.equal('value' in version, findCommand('systemctl') !== undefined);
    if ('value' in version) assert.match(version.value, /^systemd \d+/);
    assert.ok(isRunning || ('unseen' in service && 'unseen' in socketUnits && 'unseen' in dropIns));
  });

  it('reads the properties of the units, and drop-ins with any file name', (context) => {
    const host = temporaryDirectory(context);
    const dropIns = ['plain.conf', 'a b.conf', 'q"d$x\\y.conf', 'ü.conf'].map((name) => path.join(host, name));
    for (const [index, file] of dropIns.entries()) fs.writeFileSync(file, `[Service]\nUMask=${index}\n`);
    // Quoted as systemd 252 does.
    const [plain = '', blank = '', , umlaut = ''] = dropIns;
    const DropInPaths = `${plain} "${blank}" "${host}/q\\"d\\$x\\\\y.conf" ${umlaut} ${host}/gone.conf`;
    const service = {
      ActiveState: 'active',
      FragmentPath: '/usr/lib/systemd/system/cio-credentiald.service',
      DropInPaths,
      NeedDaemonReload: 'no',
      ExecMainStatus: '0',
      UnitFileState: 'enabled',
      FileDescriptorStoreMax: '128',
      PrivateNetwork: 'yes',
      Restart: 'always',
      StartLimitIntervalUSec: '0',
      WatchdogUSec: '30s',
    };
    const socketOf = (Id: string): Record<string, string> => {
      return { Id, ActiveState: `active ${Id}`, UnitFileState: 'enabled', FragmentPath: `/${Id}`, DropInPaths: '' };
    };
    const sockets = [
      'cio-credentiald',
      'cio-credentiald-load',
      'cio-credentiald-load-encrypted',
      'cio-credential-prober',
    ]
      .map((name) => socketOf(`${name}.socket`))
      .map((socket) => [socket['Id'] ?? '', socket] as const);
    const shown = (properties: Readonly<Record<string, string>>): string => {
      const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
      return `Description=not asked for\n${lines.join('')}`;
    };
    install(context, {
      systemctl: SYSTEMCTL,
      version: 'systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT\n',
      'cio-credentiald.service': shown(service),
      ...Object.fromEntries(sockets.map(([name, socket]) => [name, shown(socket)])),
    });
    const silent = lookAtSystemd(host);
    assert.deepEqual(silent.service, { unseen: 'this host does not run systemd' });
    assert.deepEqual([silent.isRunning, silent.hasPackagedUnit], [false, false]);
    assert.deepEqual(silent.version, { value: 'systemd 252 (252.39-1~deb12u2)' });
    for (const folder of ['run/systemd/system', 'usr/lib/systemd/system/cio-credentiald.service']) {
      fs.mkdirSync(path.join(host, folder), { recursive: true });
    }
    const seen = lookAtSystemd(host);
    assert.deepEqual([seen.isRunning, seen.hasPackagedUnit], [true, true]);
    fs.renameSync(path.join(host, 'usr/lib'), path.join(host, 'usr/local'));
    assert.equal(lookAtSystemd(host).hasPackagedUnit, false);
    fs.mkdirSync(path.join(host, 'usr/local/lib'));
    fs.renameSync(path.join(host, 'usr/local/systemd'), path.join(host, 'usr/local/lib/systemd'));
    assert.equal(lookAtSystemd(host).hasPackagedUnit, true, 'from a checkout');
    assert.ok('value' in seen.service && 'value' in seen.socketUnits && 'value' in seen.dropIns);
    assert.deepEqual(Object.fromEntries(seen.service.value), service);
    const bySocket = [...seen.socketUnits.value].map(([name, socket]) => [name, Object.fromEntries(socket)]);
    assert.deepEqual(bySocket, sockets);
    assert.deepEqual(
      seen.dropIns.value.map((file) => [file.path, file.isDropIn, file.assignments[0]?.value]),
      [...dropIns.map((file, index) => [file, true, `${index}`]), [`${host}/gone.conf`, true, undefined]],
    );
    fs.rmSync(plain);
    fs.symlinkSync('plain.conf', plain);
    assert.deepEqual(lookAtSystemd(host).dropIns, { unseen: `${plain} cannot be read (ELOOP)` });
  });

  it('gives the reason where systemctl fails', (context) => {
    const host = temporaryDirectory(context);
    fs.mkdirSync(path.join(host, 'run/systemd/system'), { recursive: true });
    install(context, { systemctl: '#!/bin/sh\nexit 1\n' });
    const { version, service, socketUnits, dropIns } = lookAtSystemd(host);
    assert.deepEqual(version, { unseen: 'systemctl --version failed' });
    assert.deepEqual(
      [service, socketUnits, dropIns],
      [1, 2, 3].map(() => ({ unseen: 'systemctl show failed' })),
    );
  });

  it('asks again for the last exit status of a service that is just being restarted', (context) => {
    const host = temporaryDirectory(context);
    fs.mkdirSync(path.join(host, 'run/systemd/system'), { recursive: true });
    const script = `#!/bin/sh
[ "$1 $2" = 'show cio-credentiald.service' ] || exit 0
cd "\${0%/*}" && echo >> asked && . ./state
`;
    const folder = install(context, { systemctl: script });
    const ask = (state: string): readonly [status: string | undefined, asked: number] => {
      fs.writeFileSync(path.join(folder, 'state'), state);
      fs.rmSync(path.join(folder, 'asked'), { force: true });
      const { service } = lookAtSystemd(host);
      const asked = fs.readFileSync(path.join(folder, 'asked')).length;
      return ['value' in service ? service.value.get('ExecMainStatus') : service.unseen, asked];
    };
    const say = (state: string, status: number): string => `echo ActiveState=${state}; echo ExecMainStatus=${status}\n`;
    const third = `if [ $(wc -l < asked) = 3 ]; then ${say('activating', 243)}else ${say('activating', 0)}fi\n`;
    assert.deepEqual(ask(third), ['243', 3]);
    assert.deepEqual(ask(say('active', 0)), ['0', 1]);
    assert.deepEqual(ask(say('activating', 243)), ['243', 1]);
    assert.deepEqual(ask('exit 1'), ['systemctl show failed', 1]);
    assert.deepEqual(ask(say('activating', 0)), ['0', 50], 'a start that takes its time');
  });

  it('recognises a host whose systemd refuses the null key', (context) => {
    const host = temporaryDirectory(context);
    const variable = path.join(host, 'sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c');
    const refuses = (): boolean => lookAtSystemd(host).refusesNullKey;
    const secureBoot = (...bytes: readonly number[]): void => fs.writeFileSync(variable, Uint8Array.of(...bytes));
    fs.mkdirSync(path.dirname(variable), { recursive: true });
    secureBoot(6, 0, 0, 0, 1);
    assert.equal(refuses(), false, 'without a TPM2');
    fs.mkdirSync(path.join(host, 'sys/class/tpmrm/tpmrm0'), { recursive: true });
    assert.equal(refuses(), true);
    secureBoot(1, 1, 1, 1, 0);
    assert.equal(refuses(), false, 'without Secure Boot');
    fs.rmSync(variable);
    assert.equal(refuses(), false, 'without EFI');
  });
});

describe('lookAtClock()', () => {
  it('asks timedatectl whether a time service is absent, off or on', (context) => {
    const host = temporaryDirectory(context);
    const folder = install(context, { timedatectl: '#!/bin/sh\n[ "$*" = show ] && cat "${0%/*}/shown"\n' });
    const look = (CanNTP: string, NTP: string, NTPSynchronized: string): readonly unknown[] => {
      fs.writeFileSync(
        path.join(folder, 'shown'),
        `Timezone=Etc/UTC\nCanNTP=${CanNTP}\nNTP=${NTP}\nNTPSynchronized=${NTPSynchronized}\nTimeUSec=now\n`,
      );
      const { setter, isSynchronized } = lookAtClock(true, host);
      return [setter, 'value' in isSynchronized && isSynchronized.value];
    };
    assert.deepEqual(look('no', 'no', 'no'), ['absent', false]);
    assert.deepEqual(look('yes', 'no', 'no'), ['off', false]);
    assert.deepEqual(look('yes', 'yes', 'no'), ['on', false]);
    assert.deepEqual(look('yes', 'yes', 'yes'), ['on', true]);
    fs.mkdirSync(path.join(host, 'run/systemd'), { recursive: true });
    fs.writeFileSync(path.join(host, 'run/systemd/container'), 'systemd-nspawn');
    assert.deepEqual(look('yes', 'no', 'no'), [undefined, false]);
    fs.rmSync(path.join(folder, 'shown'));
    const unseen = { unseen: 'timedatectl show failed' };
    const { nowMs, programMs, ...rest } = lookAtClock(true, host);
    assert.deepEqual(rest, { isSynchronized: unseen, setter: undefined });
    assert.ok(Math.abs(nowMs - Date.now()) < 60_000);
    assert.equal(programMs, fs.statSync(process.argv[1] ?? '').mtimeMs);
  });

  it("looks for timesyncd's marker file where systemd does not run", (context) => {
    const host = temporaryDirectory(context);
    const { isSynchronized, setter } = lookAtClock(false, host);
    const unseen = { unseen: 'whether the clock is synchronized is not known without systemd' };
    assert.deepEqual([isSynchronized, setter], [unseen, undefined]);
    fs.mkdirSync(path.join(host, 'run/systemd/timesync/synchronized'), { recursive: true });
    assert.deepEqual(lookAtClock(false, host).isSynchronized, { value: true });
  });
});

describe('lookAtStore()', () => {
  it('lists the files, and says what it cannot see', (context) => {
    const folder = temporaryDirectory(context);
    const empty = lookAtStore(folder, process.pid);
    assert.deepEqual([empty.files, empty.databaseBytes], [{ value: [] }, { value: 0 }]);
    fs.writeFileSync(path.join(folder, 'credentials.db'), 'four');
    fs.writeFileSync(path.join(folder, 'other'), '');
    const { files, databaseBytes, freeBytes, hasSystemdKey } = lookAtStore(folder, process.pid);
    assert.ok('value' in files && 'value' in freeBytes);
    assert.deepEqual(
      files.value.map((file) => path.basename(file.path)),
      ['credentials.db'],
    );
    assert.deepEqual(databaseBytes, { value: 4 });
    const { bavail, bsize } = fs.statfsSync(folder);
    const ratio = freeBytes.value / (bavail * bsize);
    assert.ok(ratio > 0.5 && ratio < 2, `${ratio}`);
    const isThere = fs.existsSync('/etc/credstore.encrypted/cio-credentiald.root-key');
    assert.deepEqual(hasSystemdKey, { value: isThere });
    const loop = path.join(folder, 'loop');
    fs.symlinkSync('loop', loop);
    const unseen = lookAtStore(loop, process.pid);
    assert.deepEqual(unseen.files, { unseen: `${loop}/credentials.db cannot be read (ELOOP)` });
    assert.deepEqual(unseen.databaseBytes, unseen.files);
    for (const seen of [unseen.mount, unseen.freeBytes]) {
      assert.deepEqual(seen, { unseen: `${loop} cannot be read (ELOOP)` });
    }
  });

  it(
    "looks in the daemon's mount namespace",
    { skip: skipUnless(root, tracingOfOthers, privateMounts) },
    async (context) => {
      const [moved = '', place = '', bound = ''] = [1, 2, 3].map(() => temporaryDirectory(context));
      fs.writeFileSync(path.join(moved, 'credentials.db'), 'moved', { mode: 0o640 });
      const script =
        'mount -t tmpfs -o mode=0711 tmpfs "$2" && cp -a "$1/credentials.db" "$2" && mkdir "$2/within" &&' +
        ' mount --bind "$1" "$3" && echo && exec sleep 600';
      const args = ['--mount', '--propagation=private', 'sh', '-c', script, 'sh', moved, place, bound];
      const { pid = 0, stdout } = running(context, 'unshare', args);
      await once(stdout, 'data');
      const { directory, files, mount, databaseBytes } = lookAtStore(place, pid);
      const own = `/proc/${pid}/root${place}`;
      const [uid, kind] = [0, 'directory'];
      const memory = { value: { type: 'tmpfs', source: 'tmpfs', isReadOnly: false } };
      assert.deepEqual(directory, { value: { path: own, kind, uid, mode: 0o711 } });
      assert.deepEqual(files, { value: [{ path: `${own}/credentials.db`, kind: 'file', uid, mode: 0o640 }] });
      assert.deepEqual([mount, databaseBytes], [memory, { value: 5 }]);
      const pathOf = (folder: string): string | undefined => {
        const seen = lookAtStore(folder, pid).directory;
        return 'value' in seen ? seen.value?.path : seen.unseen;
      };
      assert.equal(pathOf(`${place}/within`), `${own}/within`, 'which is there for the daemon alone');
      assert.deepEqual(lookAtStore(`${place}/within`, pid).mount, memory);
      assert.equal(pathOf(bound), `/proc/${pid}/root${bound}`, 'of the same file system');
      assert.equal(pathOf(moved), moved, 'the same for both');
      assert.equal(pathOf(`${place}/absent`), undefined);
    },
  );

  it("looks in this process's mount namespace where the daemon's cannot be seen", (context) => {
    const folder = temporaryDirectory(context);
    const { directory, mount } = lookAtStore(folder, 2 ** 31 - 1);
    assert.ok('value' in directory && 'value' in mount);
    assert.equal(directory.value?.path, folder);
  });
});

describe('holdsSocket()', () => {
  it(
    'does not say of a daemon whose descriptors root may not read that it does not hold its socket',
    { skip: skipUnless(root, tracingOfOthers, command('setpriv', 'util-linux')) },
    async (context) => {
      const daemon = await startDaemon(context);
      const module = path.join(import.meta.dirname, '../../../../../client/cio/doctor/gather/process.ts');
      const script = `import { holdsSocket } from ${JSON.stringify(module)};
        console.log(JSON.stringify(holdsSocket(${daemon.pid}, ${JSON.stringify(daemon.socketPath)})));`;
      const { stdout } = spawnSync(
        'setpriv',
        ['--bounding-set=-sys_ptrace', process.execPath, '--input-type=module', '--eval', script],
        { encoding: 'utf8' },
      );
      const unseen = `/proc/${daemon.pid}/fd is visible only with CAP_SYS_PTRACE`;
      assert.deepEqual(JSON.parse(stdout), { unseen });
    },
  );

  it('is false for a process that only has an accepted connection of the socket', async (context) => {
    const socket = path.join(temporaryDirectory(context), 's');
    const server = net.createServer().listen(socket);
    await once(server, 'listening');
    const [[accepted]] = (await Promise.all([
      once(server, 'connection'),
      once(net.connect(socket).unref(), 'connect'),
    ])) as [[net.Socket], unknown];
    context.after(() => accepted.destroy());
    server.close();
    const script = 'require("node:net").createServer().listen(process.argv[1], () => console.log())';
    const { pid = 0, stdout } = running(context, process.execPath, ['-e', script, socket]);
    await once(stdout, 'data');
    const paths = fs.readFileSync('/proc/self/net/unix', 'utf8').split('\n');
    assert.equal(paths.filter((line) => line.endsWith(` ${socket}`)).length, 2);
    assert.deepEqual(
      [process.pid, pid].map((each) => holdsSocket(each, socket)),
      [{ value: false }, { value: true }],
    );
  });
});

function running(scope: Scope, command: string, args: readonly string[]): ChildProcessByStdio<null, Readable, null> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  scope.after(() => {
    child.kill('SIGKILL');
  });
  return child;
}

describe('lookAtSecretFiles() and lookAtEnvironmentFiles()', () => {
  it("look below the caller's home, and for root also below /root", (context) => {
    const paths = lookAtSecretFiles(1000).map(({ path: file }) => file);
    assert.deepEqual(
      paths.map((file) => path.basename(file)),
      ['rclone.conf', 'credentials'],
    );
    assert.ok(lookAtSecretFiles(0).some(({ path: file }) => file === '/root/.aws/credentials'));
    const { HOME = '' } = process.env;
    try {
      process.env['HOME'] = '/home/of-nobody';
      const below = (uid: number): string[] => [
        ...new Set(lookAtSecretFiles(uid).map(({ path: file }) => file.split('/.')[0] ?? '')),
      ];
      assert.deepEqual(
        [below(0), below(1), below(1000)],
        [['/home/of-nobody', '/root'], ['/home/of-nobody'], ['/home/of-nobody']],
      );
      const home = path.join(temporaryDirectory(context), 'home');
      fs.mkdirSync(path.join(home, '.aws'), { recursive: true });
      fs.writeFileSync(path.join(home, '.aws/credentials'), '');
      process.env['HOME'] = home;
      for (const [mode, count] of [
        [0o711, 2],
        [0o700, 1],
      ] as const) {
        fs.chmodSync(home, mode);
        // An absent file counts: its folder is not known to be closed.
        assert.equal(lookAtSecretFiles(1000).length, count);
      }
      process.env['HOME'] = 'relative';
      assert.deepEqual(lookAtSecretFiles(1000), []);
    } finally {
      process.env['HOME'] = HOME;
    }
  });

  it('leave out a file in a folder that others cannot traverse', (context) => {
    const folder = temporaryDirectory(context);
    const file = path.join(folder, 'closed/within/x.env');
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, 'RESTIC_PASSWORD=x\n', { mode: 0o644 });
    const link = path.join(folder, 'link.env');
    fs.symlinkSync(file, link);
    const isFound = (name: string, ...modes: readonly [folder: number, closed: number, within: number]): boolean => {
      for (const [index, each] of [folder, path.join(folder, 'closed'), path.dirname(file)].entries()) {
        fs.chmodSync(each, modes[index] ?? 0o700);
      }
      const files = [unitFile('x.service', ['EnvironmentFile', name])];
      return lookAtEnvironmentFiles(unitScan(files)).length > 0;
    };
    for (const name of [file, link]) {
      assert.equal(isFound(name, 0o755, 0o755, 0o755), true);
      assert.equal(isFound(name, 0o755, 0o700, 0o755), false);
      assert.equal(isFound(name, 0o755, 0o755, 0o766), false);
      assert.equal(isFound(name, 0o755, 0o750, 0o710), true, 'for the group');
      assert.equal(isFound(name, 0o755, 0o701, 0o705), true, 'for others');
      assert.equal(isFound(name, 0o755, 0o701, 0o710), false, 'neither passes both');
    }
  });

  it('name the secret variables of an environment file, and keep no value', (context) => {
    const folder = temporaryDirectory(context);
    fs.chmodSync(folder, 0o755);
    const text = 'export RESTIC_PASSWORD=canary-5e\n# AWS_SESSION_TOKEN=x\nAWS_SECRET_ACCESS_KEY=\nB=canary-5e\n';
    fs.writeFileSync(path.join(folder, 'a.env'), text, { mode: 0o640 });
    fs.writeFileSync(path.join(folder, 'b.env'), 'B=1\n');
    for (const name of ['%n.env', 'c.env', 'cleared.env']) fs.writeFileSync(path.join(folder, name), text);
    const files = [
      unitFile(
        'x.service',
        ['EnvironmentFile', `${folder}/cleared.env`],
        ['EnvironmentFile', ''],
        ['EnvironmentFile', `-${folder}/a.env`],
        ['EnvironmentFile', `${folder}/b.env`],
        ['EnvironmentFile', `${folder}/absent`],
        ['EnvironmentFile', folder],
        ['EnvironmentFile', `${folder}/%n.env`],
        ['EnvironmentFile', path.relative(process.cwd(), `${folder}/c.env`)],
        ['LoadCredential', `${folder}/c.env`],
      ),
    ];
    const seen = lookAtEnvironmentFiles(unitScan(files));
    assert.deepEqual(
      seen.map(({ path: file, variables }) => [path.basename(file), variables]),
      [['a.env', ['RESTIC_PASSWORD']]],
    );
    assert.ok(!JSON.stringify(seen).includes('canary'));
  });
});

describe('lookAtProcess(), holdsSocket() and lookAtStore()', () => {
  it('describe a real daemon correctly', async (context) => {
    const daemon = await startDaemon(context);
    const uid = process.geteuid?.() ?? 0;
    const seen = lookAtProcess(daemon.pid, uid);
    assert.ok('value' in seen);
    assert.deepEqual(seen.value.uids, [uid, uid, uid, uid]);
    assert.match(seen.value.effectiveCapabilities ?? '', /^[0-9a-f]{16}$/);
    assert.match(seen.value.seccomp ?? '', /^[012]$/);
    assert.ok('value' in seen.value.coreLimit);
    const { soft, hard } = seen.value.coreLimit.value;
    const limits = fs.readFileSync(`/proc/${daemon.pid}/limits`, 'utf8').split('\n');
    const [line = ''] = limits.filter((each) => each.startsWith('Max core file size'));
    assert.deepEqual([soft, hard], line.split(/\s+/).slice(4, 6));
    const cgroup = fs.readFileSync(`/proc/${daemon.pid}/cgroup`, 'utf8');
    assert.deepEqual(seen.value.unit, { value: unitOfCgroup(cgroup) });
    const folder = cgroup.split('\n').flatMap((each) => (each.startsWith('0::') ? [each.slice(3)] : []))[0];
    const file = `/sys/fs/cgroup${folder}/memory.swap.max`;
    const swapMax = folder !== undefined && fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : undefined;
    assert.deepEqual(seen.value.swapMax, { value: swapMax });
    assert.deepEqual(lookAtProcess(daemon.pid, uid + 1), {
      unseen: `process ${daemon.pid} is not the daemon here`,
    });
    if (tracingOfOthers() === undefined) {
      assert.deepEqual(holdsSocket(daemon.pid, daemon.socketPath), { value: true });
      assert.deepEqual(holdsSocket(process.pid, daemon.socketPath), { value: false });
      if ('value' in seen.value.hasOwnNetwork) {
        const networks = [daemon.pid, 1].map((pid) => fs.readlinkSync(`/proc/${pid}/ns/net`));
        assert.equal(seen.value.hasOwnNetwork.value, networks[0] !== networks[1]);
      }
      assert.ok('unseen' in holdsSocket(daemon.pid, path.dirname(daemon.socketPath)));
      await using client = await connect({ socket: daemon.socketPath });
      await client.call('Status', {});
      // The accepted end of a connection has the path of the socket, too, but does not listen.
      const listening = fs.readFileSync('/proc/self/net/unix', 'utf8').split('\n');
      assert.ok(listening.filter((each) => each.endsWith(daemon.socketPath)).length > 1);
      assert.deepEqual(holdsSocket(process.pid, daemon.socketPath), { value: false });
    }
    assert.ok('unseen' in holdsSocket(daemon.pid, '/nonexistent/socket'));

    const store = lookAtStore(daemon.stateDirectory, daemon.pid);
    assert.ok('value' in store.directory && 'value' in store.files && 'value' in store.mount);
    assert.equal(store.directory.value?.mode, 0o700);
    assert.deepEqual(
      store.files.value.map((file) => [path.basename(file.path), file.mode]),
      [
        ['credentials.db', 0o600],
        ['credentials.db-wal', 0o600],
        ['credentials.db-shm', 0o600],
        ['root.key', 0o600],
      ],
    );
    assert.match(store.mount.value.type, /^[a-z0-9.]+$/);
    assert.ok('value' in store.freeBytes && store.freeBytes.value > 0);
    assert.ok('value' in store.databaseBytes && store.databaseBytes.value > 0);
    await daemon.stop();
    assert.ok('unseen' in lookAtProcess(daemon.pid, uid));
  });
});
