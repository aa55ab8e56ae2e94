import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { scanUnits, userFolders } from '../../../../../client/cio/doctor/gather/units.ts';
import { forAllUsers } from '../../../../support/checkout-for-all.ts';
import { asIdentity } from '../../../../support/identity.ts';
import { runSuccessfully } from '../../../../support/process.ts';
import { root, skipUnless } from '../../../../support/requirements.ts';
import { temporaryDirectory } from '../../../../support/temporary-directory.ts';

const ETC = 'etc/systemd/system';
const LIB = 'usr/lib/systemd/system';
const LOADS = '[Service]\nLoadCredential=token:/run/cio-credentiald/load\n';

/** Makes a file tree with these files; a content that begins with `->` is the target of a symbolic link. */
function makeHost(context: TestContext, files: Readonly<Record<string, string | Uint8Array>>): string {
  const host = temporaryDirectory(context);
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(host, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (typeof content === 'string' && content.startsWith('->')) fs.symlinkSync(content.slice(2), file);
    else fs.writeFileSync(file, content);
  }
  return host;
}

/** The files found that have settings of interest, each with its unit and its path below the root. */
function found(host: string): string[] {
  return scanUnits(host)
    .files.filter(({ assignments }) => assignments.length > 0)
    .map((file) => `${file.unit} ${path.relative(host, file.path)}`);
}

describe('scanUnits()', () => {
  it('finds units and their drop-ins, and returns each unit before its drop-ins', (context) => {
    const host = makeHost(context, {
      [`${ETC}/a.service.d/20-b.conf`]: LOADS,
      [`${LIB}/a.service.d/10-a.conf`]: LOADS,
      [`${LIB}/a.service`]: LOADS,
      [`${LIB}/b.socket`]: LOADS,
      [`${LIB}/other.service`]: '[Service]\nExecStart=/bin/true\n',
      [`${LIB}/a.timer`]: LOADS,
      [`${LIB}/a.service.d/readme.txt`]: LOADS,
    });
    assert.deepEqual(found(host), [
      `a.service ${LIB}/a.service`,
      `a.service ${LIB}/a.service.d/10-a.conf`,
      `a.service ${ETC}/a.service.d/20-b.conf`,
      `b.socket ${LIB}/b.socket`,
    ]);
  });

  it('takes the file that takes precedence in systemd', (context) => {
    const host = makeHost(context, {
      [`${ETC}/a.service`]: '[Service]\n',
      [`${LIB}/a.service`]: LOADS,
      [`${ETC}/masked.service`]: '->/dev/null',
      [`${LIB}/masked.service`]: LOADS,
      [`${LIB}/c.service.d/x.conf`]: LOADS,
      [`run/systemd/system/c.service.d/x.conf`]: '[Service]\n',
    });
    assert.deepEqual(found(host), []);
  });

  it("reads a folder with two names once, and an alias under its unit's name", (context) => {
    const host = makeHost(context, {
      [`${LIB}/a.service`]: LOADS,
      lib: '->usr/lib',
      [`${ETC}/alias.service`]: `->${'../'.repeat(3)}${LIB}/a.service`,
    });
    assert.deepEqual(found(host), [`a.service ${LIB}/a.service`]);
  });

  it('takes a link to a template for an instance', (context) => {
    const host = makeHost(context, { [`${ETC}/r@.service`]: LOADS, [`${ETC}/r@home.service`]: '->r@.service' });
    assert.deepEqual(found(host), [`r@.service ${ETC}/r@.service`, `r@home.service ${ETC}/r@home.service`]);
  });

  it('takes a link to a file elsewhere, of any name, for the unit', (context) => {
    const host = makeHost(context, {
      'opt/backup/deploy-2.service': LOADS,
      [`${ETC}/backup.service`]: '->../../../opt/backup/deploy-2.service',
      // As on NixOS, where the folder itself is a link into the store.
      'nix/store/units/b.service': LOADS,
      'nix/store/units/alias.service': '->b.service',
      'run/systemd/system': '->../../nix/store/units',
    });
    assert.deepEqual(found(host), ['b.service run/systemd/system/b.service', `backup.service ${ETC}/backup.service`]);
    assert.deepEqual(scanUnits(host).units, ['b.service', 'backup.service']);
  });

  it('counts the drop-ins of an alias for its unit, and ignores a unit file that the alias hides', (context) => {
    const host = makeHost(context, {
      [`${LIB}/ssh.service`]: '[Service]\n',
      [`${ETC}/sshd.service`]: `->../../../${LIB}/ssh.service`,
      [`${ETC}/ssd.service`]: '->sshd.service',
      [`${ETC}/ssd.service.d/a.conf`]: LOADS,
      [`${ETC}/sshd.service.d/b.conf`]: LOADS,
      [`${LIB}/sshd.service`]: LOADS,
      [`${LIB}/own.service`]: '->ssh.service',
      [`${ETC}/own.service`]: LOADS,
      [`${ETC}/round.service`]: '->about.service',
      [`${ETC}/about.service`]: '->round.service',
      [`${ETC}/about.service.d/a.conf`]: LOADS,
    });
    const scan = scanUnits(host);
    assert.deepEqual(
      scan.files
        .map(({ unit, path: file }) => `${unit} ${path.basename(file)}`)
        .filter((each) => !/round|about/.test(each)),
      ['own.service own.service', 'ssh.service ssh.service', 'ssh.service a.conf', 'ssh.service b.conf'],
    );
    assert.deepEqual(scan.units, ['own.service', 'ssh.service'], 'neither of those that go round');
  });

  it('lists no units that do not exist: masked ones, and those with drop-ins only', (context) => {
    const host = makeHost(context, {
      [`${ETC}/masked.service`]: '->/dev/null',
      [`${ETC}/masked.service.d/a.conf`]: LOADS,
      [`${ETC}/empty.service`]: '',
      [`${ETC}/empty.service.d/a.conf`]: LOADS,
      [`${LIB}/empty.service`]: LOADS,
      [`${ETC}/gone.service.d/a.conf`]: LOADS,
      [`${LIB}/there.service`]: '[Service]\n',
      [`${ETC}/there.service.d/a.conf`]: LOADS,
      [`${ETC}/there.service.d/b.conf`]: '',
      [`${ETC}/unread.service`]: '->unread.service',
      [`${ETC}/unread.service.d/a.conf`]: LOADS,
      [`${LIB}/r@.service`]: LOADS,
      [`${ETC}/r@a.service.d/a.conf`]: LOADS,
      [`${ETC}/r@b.service`]: '->/dev/null',
      [`${ETC}/multi-user.target.upholds/r@c.service`]: '->/usr/lib/systemd/system/r@.service',
      [`${ETC}/multi-user.target.wants/r@b.service`]: '->/usr/lib/systemd/system/r@.service',
      [`${ETC}/gone@x.service.d/a.conf`]: LOADS,
      [`${ETC}/m@.service`]: '->/dev/null',
      [`${ETC}/m@.service.d/a.conf`]: LOADS,
      [`${ETC}/a.target.wants/m@a.service`]: '->/usr/lib/systemd/system/m@.service',
      [`${ETC}/service.d/a.conf`]: LOADS,
      [`${ETC}/r-.service.d/a.conf`]: LOADS,
      [`${ETC}/bad name.service`]: LOADS,
    });
    assert.deepEqual(scanUnits(host).units, [
      'r@.service',
      'r@a.service',
      'r@c.service',
      'there.service',
      // Its file exists, whatever it says.
      'unread.service',
    ]);
  });

  it("keeps an instance's own files, which may override its template's", (context) => {
    const host = makeHost(context, {
      [`${LIB}/r@.service`]: LOADS,
      [`${ETC}/r@.service.d/override.conf`]: LOADS,
      [`${ETC}/r@a.service`]: '[Service]\n',
      [`${ETC}/r@a.service.d/override.conf`]: '[Service]\n',
    });
    const { files, units } = scanUnits(host);
    assert.deepEqual(
      files.map((file) => `${file.unit} ${path.relative(host, file.path)}`),
      [
        `r@.service ${LIB}/r@.service`,
        `r@.service ${ETC}/r@.service.d/override.conf`,
        `r@a.service ${ETC}/r@a.service`,
        `r@a.service ${ETC}/r@a.service.d/override.conf`,
      ],
    );
    assert.deepEqual(units, ['r@.service', 'r@a.service']);
  });

  it("looks in every folder of systemd's search path", (context) => {
    const folders = [
      'etc/systemd/system.control',
      'run/systemd/system.control',
      'run/systemd/transient',
      'run/systemd/generator.early',
      ETC,
      'etc/systemd/system.attached',
      'run/systemd/system',
      'run/systemd/system.attached',
      'run/systemd/generator',
      'usr/local/lib/systemd/system',
      LIB,
      'lib/systemd/system',
      'run/systemd/generator.late',
    ];
    const files = folders.flatMap((folder, index) => [
      [`${folder}/${String.fromCharCode(97 + index)}.service`, LOADS],
      [`${folder}/same.service`, LOADS],
    ]);
    const host = makeHost(context, Object.fromEntries(files) as Record<string, string>);
    const expected = folders.map((folder, index) => `${folder}/${String.fromCharCode(97 + index)}.service`);
    assert.deepEqual(
      found(host)
        .map((each) => each.split(' ')[1] ?? '')
        .toSorted(),
      [...expected, `${folders[0]}/same.service`].toSorted(),
    );
  });

  it("looks in the search path of a user's own systemd, in its order", (context) => {
    const folders = userFolders({ XDG_DATA_DIRS: '/nix/share:relative' }, '/home/a', '/run/user/1');
    assert.deepEqual(folders, [
      '/home/a/.config/systemd/user.control',
      '/run/user/1/systemd/user.control',
      '/run/user/1/systemd/transient',
      '/run/user/1/systemd/generator.early',
      '/home/a/.config/systemd/user',
      '/etc/xdg/systemd/user',
      '/etc/systemd/user',
      '/run/user/1/systemd/user',
      '/run/systemd/user',
      '/run/user/1/systemd/generator',
      '/home/a/.local/share/systemd/user',
      '/nix/share/systemd/user',
      '/usr/local/lib/systemd/user',
      '/usr/lib/systemd/user',
      '/run/user/1/systemd/generator.late',
    ]);
    const moved = { XDG_CONFIG_HOME: '/c', XDG_DATA_HOME: '/d', XDG_CONFIG_DIRS: '/e' };
    const others = userFolders(moved, '/home/a', '/run/user/1');
    for (const folder of ['/c/systemd/user.control', '/c/systemd/user', '/e/systemd/user', '/d/systemd/user']) {
      assert.ok(others.includes(folder), folder);
    }
    for (const folder of ['/usr/local/share/systemd/user', '/usr/share/systemd/user']) {
      assert.ok(others.includes(folder), folder);
    }
    const host = makeHost(context, {
      'home/a/.config/systemd/user/a.service': LOADS,
      'etc/systemd/user/a.service': LOADS,
      'etc/systemd/user/a.service.d/x.conf': LOADS,
      [`${ETC}/host.service`]: LOADS,
    });
    assert.deepEqual(
      scanUnits(host, folders).files.map((file) => path.relative(host, file.path)),
      ['home/a/.config/systemd/user/a.service', 'etc/systemd/user/a.service.d/x.conf'],
    );
  });

  it('finds the instances that a target or another unit starts', (context) => {
    const host = makeHost(context, {
      [`${LIB}/r@.service`]: LOADS,
      [`${ETC}/multi-user.target.wants/r@home.service`]: '->/usr/lib/systemd/system/r@.service',
      [`${ETC}/timers.target.wants/r@work.timer`]: '->/usr/lib/systemd/system/r@.timer',
      [`${ETC}/a.target.requires/r@by.path`]: '->/usr/lib/systemd/system/r@.path',
      [`${ETC}/a.target.requires/r@file.socket`]: '->/usr/lib/systemd/system/r@.socket',
      [`${ETC}/a.target.requires/r@x.timer.bak`]: '->/nonexistent',
      [`${ETC}/a.target.requires/r@x.target`]: '->/nonexistent',
      [`${ETC}/a.wants.old/r@x.service`]: '->/nonexistent',
      [`${ETC}/timers.target.wants/plain.timer`]: '->/usr/lib/systemd/system/plain.timer',
    });
    assert.deepEqual(scanUnits(host).units, [
      'r@.service',
      'r@by.service',
      'r@file.service',
      'r@home.service',
      'r@work.service',
    ]);
  });

  it("ignores names that are neither a unit's nor a drop-in folder's", (context) => {
    const host = makeHost(context, {
      [`${ETC}/a.service.dpkg-old`]: LOADS,
      [`${ETC}/a.service.d.bak/x.conf`]: LOADS,
      [`${ETC}/myservice.d/x.conf`]: LOADS,
      [`${ETC}/a.service.d/x.conf.bak`]: LOADS,
    });
    assert.deepEqual(found(host), []);
  });

  it('keeps only the settings for credentials and environments', (context) => {
    const settings = ['LoadCredential=a:/x', 'LoadCredentialEncrypted=a:/x', 'EnvironmentFile=/x', 'Environment=A=b'];
    const text = `[Service]\n${settings.join('\n')}\nSetCredential=a:b\nImportCredential=a\nEnvironment=novalue=\n`;
    const [file] = scanUnits(makeHost(context, { [`${ETC}/a.service`]: text })).files;
    assert.deepEqual(
      file?.assignments.map(({ key, value }) => `${key}=${value}`),
      [...settings.slice(0, 3), 'Environment=A'],
    );
  });

  it('keeps no value of an environment variable', (context) => {
    const secret = 'canary-9b1f';
    const host = makeHost(context, {
      [`${ETC}/a.service`]: `[Service]\nEnvironment="RESTIC_PASSWORD=${secret} x" B=${secret}\nEnvironment=\nPassEnvironment=C\n`,
    });
    const scan = scanUnits(host);
    assert.deepEqual(
      scan.files.flatMap(({ assignments }) => assignments.map(({ key, value }) => `${key}=${value}`)),
      ['Environment=RESTIC_PASSWORD B', 'Environment='],
    );
    assert.ok(!JSON.stringify(scan).includes(secret));
  });

  it('survives any kind of file in a unit folder', { timeout: 30_000 }, (context) => {
    const host = makeHost(context, {
      [`${ETC}/good.service`]: LOADS,
      [`${ETC}/binary.service`]: Buffer.from(Array.from({ length: 4096 }, (_, index) => index % 256)),
      [`${ETC}/huge.service`]: Buffer.alloc(3 * 1024 * 1024, LOADS),
      [`${ETC}/loop.service`]: '->loop.service',
      [`${ETC}/new\nline (x).service`]: '->new\nline (x).service',
      [`${ETC}/loop.service.d`]: '->loop.service.d',
      [`${ETC}/dangling.service`]: '->/nonexistent/x.service',
      [`${ETC}/folder.service/x`]: 'x',
      [`${ETC}/file.service.d`]: 'no folder',
      [`${ETC}/self.service.d/self.service.d`]: '->.',
      [`${ETC}/bad\u001b[31m.service`]: Buffer.concat([
        Buffer.from('[Service]\nLoadCredential='),
        Buffer.of(0xff, 0xfe),
      ]),
    });
    execFileSync('mkfifo', [path.join(host, ETC, 'pipe.service')]);
    const scan = scanUnits(host);
    assert.deepEqual(
      scan.files.filter(({ assignments }) => assignments.length > 0).map(({ unit }) => unit),
      ['bad\u001b[31m.service', 'good.service'],
    );
    assert.deepEqual(
      scan.unread.map(({ path: file, reason }) => `${path.relative(host, file)}: ${reason}`).toSorted(),
      [
        `${ETC}/huge.service: it is larger than 1 MiB`,
        `${ETC}/loop.service.d: ELOOP`,
        `${ETC}/loop.service: ELOOP`,
        `${ETC}/new\nline (x).service: ELOOP`,
      ].toSorted(),
    );
  });

  it('finds nothing on a host without systemd, nor where a unit folder is a file', (context) => {
    const nothing = { files: [], units: [], unread: [] };
    assert.deepEqual(scanUnits(temporaryDirectory(context)), nothing);
    assert.deepEqual(scanUnits(makeHost(context, { [ETC]: 'a file' })), nothing);
  });

  it('says which files it may not read', { skip: skipUnless(root) }, async (context) => {
    const host = makeHost(context, { [`${ETC}/secret.service`]: LOADS, [`${ETC}/closed.service.d/x.conf`]: LOADS });
    fs.chmodSync(path.join(host, ETC, 'secret.service'), 0o600);
    fs.chmodSync(path.join(host, ETC, 'closed.service.d'), 0o700);
    const module = path.join(import.meta.dirname, '../../../../../client/cio/doctor/gather/units.ts');
    const [node = '', open = ''] = forAllUsers(context, [process.execPath, module]);
    const script = `import(${JSON.stringify(open)}).then(m => console.log(JSON.stringify(m.scanUnits(${JSON.stringify(host)}))))`;
    const command = asIdentity({ uid: 65534, gid: 65534 }, [node, '--eval', script]);
    const scan = JSON.parse(await runSuccessfully(command)) as ReturnType<typeof scanUnits>;
    assert.deepEqual(scan.files, []);
    assert.deepEqual(scan.unread.map(({ path: file, reason }) => `${path.basename(file)}: ${reason}`).toSorted(), [
      'closed.service.d: permission denied',
      'secret.service: permission denied',
    ]);
  });
});
