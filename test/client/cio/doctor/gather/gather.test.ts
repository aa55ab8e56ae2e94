import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { attempt, lookAt, lookThrough, readText } from '../../../../../client/cio/doctor/gather/files.ts';
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
import { startDaemon } from '../../../../support/daemon.ts';
import { findCommand } from '../../../../support/requirements.ts';
import { temporaryDirectory } from '../../../../support/temporary-directory.ts';
import { lookAtSystemd } from '../../../../../client/cio/doctor/gather/systemd.ts';
import { unitFile } from '../host.ts';

describe('lookAt() and readText()', () => {
  it('see a file, and that there is none', (context) => {
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

  it('look at a link, or through it', (context) => {
    const folder = temporaryDirectory(context);
    fs.writeFileSync(path.join(folder, 'file'), '', { mode: 0o604 });
    const link = path.join(folder, 'link');
    fs.symlinkSync('file', link);
    const [itself, target] = [lookAt(link), lookThrough(link)];
    assert.ok('value' in itself && 'value' in target);
    assert.deepEqual([itself.value?.kind, target.value?.kind, target.value?.mode], ['other', 'file', 0o604]);
  });

  it('read nothing from what is no regular file, and wait for nobody', (context) => {
    const folder = temporaryDirectory(context);
    execFileSync('mkfifo', [path.join(folder, 'pipe')]);
    for (const file of [folder, path.join(folder, 'pipe'), '/dev/zero']) {
      assert.deepEqual(readText(file, 10), { value: undefined });
    }
  });

  it('say why something was not seen', (context) => {
    const loop = path.join(temporaryDirectory(context), 'loop');
    fs.symlinkSync('loop', loop);
    assert.deepEqual(readText(loop, 10), { unseen: `${loop} cannot be read (ELOOP)` });
    const denied = attempt('/x', () => {
      throw Object.assign(new Error('EACCES: /x'), { code: 'EACCES' });
    });
    assert.deepEqual(denied, { unseen: '/x is for root to see' });
  });
});

describe('ask()', () => {
  it('gives what a command prints', () => assert.deepEqual(ask('printf', ['%s', 'x']), { value: 'x' }));

  for (const [what, command, args, unseen] of [
    ['is not there', 'cio-no-such-command', [], 'there is no command cio-no-such-command'],
    ['fails', 'false', [], 'false  failed'],
    ['hangs', 'sh', ['-c', 'trap "" TERM; sleep 60'], 'sh did not answer within 2 s'],
    ['leaves its output to another one', 'sh', ['-c', 'sleep 5 & exit 0'], 'sh did not answer within 2 s'],
    ['prints without an end', 'yes', [], 'yes cannot be run (ENOBUFS)'],
  ] as const) {
    it(`gives the reason for one that ${what}`, { timeout: 10_000 }, () => {
      assert.deepEqual(ask(command, args), { unseen });
    });
  }
});

describe('parseProperties()', () => {
  it('cuts at the first equals sign', () => {
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
31 21 0:41 / /with\040blank ro,nosuid - vfat /dev/sdb1 rw
32 30 0:42 / /srv rw shared:2 master:3 - btrfs /dev/sdc1 ro
garbage
`;
  for (const [place, type, isReadOnly] of [
    ['/var/lib/x', 'ext4', false],
    ['/srv', 'btrfs', true],
    ['/srv/x', 'btrfs', true],
    ['/srvx', 'ext4', false],
    ['/with blank/x', 'vfat', true],
  ] as const) {
    it(`finds ${type} for ${place}`, () => assert.deepEqual(mountOf(MOUNTINFO, place), { type, isReadOnly }));
  }

  it('finds nothing in nothing', () => assert.equal(mountOf('', '/x'), undefined));
});

describe('swapNames() and lookAtSwap()', () => {
  it('read the names below the heading', () => {
    const text = 'Filename\tType\tSize\tUsed\tPriority\n/dev/sda2   partition 1 0 -2\n/swap\\040file file 1 0 -3\n';
    assert.deepEqual(swapNames(text), ['/dev/sda2', '/swap\\040file']);
    assert.deepEqual(swapNames('Filename\tType\n'), []);
  });

  it('see what the kernel swaps to', () => {
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
    ['', undefined],
  ] as const) {
    it(`finds ${unit}`, () => assert.equal(unitOfCgroup(text), unit));
  }

  it('reads fields', () => {
    assert.deepEqual(parseStatus('Name:\ta:b\nUid:\t0\t1\t2\t3\n\n').get('Uid'), '0\t1\t2\t3');
  });
});

describe('lookAtSystemd()', () => {
  it('tells whether it runs this host, and asks it only then', () => {
    const { isRunning, version, service, socketUnits, dropIns } = lookAtSystemd();
    assert.equal(isRunning, fs.existsSync('/run/systemd/system'));
    assert.equal('value' in version, findCommand('systemctl') !== undefined);
    if ('value' in version) assert.match(version.value, /^systemd \d+/);
    assert.ok(isRunning || ('unseen' in service && 'unseen' in socketUnits && 'unseen' in dropIns));
  });
});

describe('lookAtSecretFiles() and lookAtEnvironmentFiles()', () => {
  it("look below the caller's home, and for root below root's", () => {
    const paths = lookAtSecretFiles(1000).map(({ path: file }) => file);
    assert.deepEqual(
      paths.map((file) => path.basename(file)),
      ['rclone.conf', 'credentials'],
    );
    assert.ok(lookAtSecretFiles(0).some(({ path: file }) => file === '/root/.aws/credentials'));
  });

  it('name the secrets of an environment file, and keep no value', (context) => {
    const folder = temporaryDirectory(context);
    const text = 'export RESTIC_PASSWORD=canary-5e\n# AWS_SESSION_TOKEN=x\nAWS_SECRET_ACCESS_KEY=\nB=canary-5e\n';
    fs.writeFileSync(path.join(folder, 'a.env'), text, { mode: 0o640 });
    fs.writeFileSync(path.join(folder, 'b.env'), 'B=1\n');
    const files = [
      unitFile(
        'x.service',
        ['EnvironmentFile', `-${folder}/a.env`],
        ['EnvironmentFile', `${folder}/b.env`],
        ['EnvironmentFile', `${folder}/absent`],
        ['EnvironmentFile', folder],
        ['EnvironmentFile', `${folder}/*.env`],
        ['EnvironmentFile', ''],
      ),
    ];
    const seen = lookAtEnvironmentFiles({ files, instances: [], unread: [] });
    assert.deepEqual(
      seen.map(({ path: file, variables }) => [path.basename(file), variables]),
      [['a.env', ['RESTIC_PASSWORD']]],
    );
    assert.ok(!JSON.stringify(seen).includes('canary'));
  });
});

describe('a real daemon', () => {
  it('is seen as it is', async (context) => {
    const daemon = await startDaemon(context);
    const uid = process.geteuid?.() ?? 0;
    const seen = lookAtProcess(daemon.pid, uid);
    assert.ok('value' in seen);
    assert.deepEqual(seen.value.uids, [uid, uid, uid, uid]);
    assert.match(seen.value.effectiveCapabilities ?? '', /^[0-9a-f]{16}$/);
    assert.match(seen.value.seccomp ?? '', /^[012]$/);
    assert.ok('value' in seen.value.coreLimit);
    assert.match(seen.value.coreLimit.value.soft, /^(?:\d+|unlimited)$/);
    assert.deepEqual(lookAtProcess(daemon.pid, uid + 1), {
      unseen: `process ${daemon.pid} is another one here than the daemon`,
    });
    if (uid === 0) {
      assert.deepEqual(holdsSocket(daemon.pid, daemon.socketPath), { value: true });
      assert.deepEqual(holdsSocket(process.pid, daemon.socketPath), { value: false });
    }
    assert.ok('unseen' in holdsSocket(daemon.pid, '/nonexistent/socket'));

    const store = lookAtStore(daemon.stateDirectory);
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
