import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { scanUnits } from '../../../../../client/cio/doctor/gather/units.ts';
import { forAllUsers } from '../../../../support/checkout-for-all.ts';
import { asIdentity } from '../../../../support/identity.ts';
import { runSuccessfully } from '../../../../support/process.ts';
import { root, skipUnless } from '../../../../support/requirements.ts';
import { temporaryDirectory } from '../../../../support/temporary-directory.ts';

const ETC = 'etc/systemd/system';
const LIB = 'usr/lib/systemd/system';
const LOADS = '[Service]\nLoadCredential=token:/run/cio-credentiald/load\n';

/** A file system with these files; a content that begins with `->` is a symbolic link. */
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

/** The units that were found, each with its files below the root. */
function found(host: string): string[] {
  return scanUnits(host).files.map((file) => `${file.unit} ${path.relative(host, file.path)}`);
}

describe('scanUnits()', () => {
  it('finds units and their drop-ins, the units first', (context) => {
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
      `b.socket ${LIB}/b.socket`,
      `a.service ${LIB}/a.service.d/10-a.conf`,
      `a.service ${ETC}/a.service.d/20-b.conf`,
    ]);
  });

  it('takes the file that counts for systemd', (context) => {
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

  it('reads a folder once that has two names, and an alias under the name of its unit', (context) => {
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

  it('finds the instances that something starts', (context) => {
    const host = makeHost(context, {
      [`${LIB}/r@.service`]: LOADS,
      [`${ETC}/multi-user.target.wants/r@home.service`]: '->/usr/lib/systemd/system/r@.service',
      [`${ETC}/timers.target.wants/r@work.timer`]: '->/usr/lib/systemd/system/r@.timer',
      [`${ETC}/timers.target.wants/plain.timer`]: '->/usr/lib/systemd/system/plain.timer',
    });
    assert.deepEqual(scanUnits(host).instances, ['r@home.service', 'r@work.service']);
  });

  it('keeps no value of an environment', (context) => {
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

  it('gets over whatever lies in a folder of units', { timeout: 30_000 }, (context) => {
    const host = makeHost(context, {
      [`${ETC}/good.service`]: LOADS,
      [`${ETC}/binary.service`]: Buffer.from(Array.from({ length: 4096 }, (_, index) => index % 256)),
      [`${ETC}/huge.service`]: Buffer.alloc(3 * 1024 * 1024, LOADS),
      [`${ETC}/loop.service`]: '->loop.service',
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
      scan.files.map(({ unit }) => unit),
      ['bad\u001b[31m.service', 'good.service'],
    );
    assert.deepEqual(
      scan.unread.map(({ path: file, reason }) => `${path.relative(host, file)}: ${reason}`).toSorted(),
      [
        `${ETC}/huge.service: it is larger than 1 MiB`,
        `${ETC}/loop.service.d: ELOOP`,
        `${ETC}/loop.service: ELOOP`,
      ].toSorted(),
    );
  });

  it('is content with a host without systemd, and with a folder that is a file', (context) => {
    assert.deepEqual(scanUnits(temporaryDirectory(context)), { files: [], instances: [], unread: [] });
    assert.deepEqual(scanUnits(makeHost(context, { [ETC]: 'a file' })), { files: [], instances: [], unread: [] });
  });

  it('says what it may not read', { skip: skipUnless(root) }, async (context) => {
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
      'closed.service.d: EACCES',
      'secret.service: it is for root to see',
    ]);
  });
});
