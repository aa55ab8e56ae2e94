import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { connect } from '../../../../client/index.ts';
import { EXIT } from '../../../../src/errors.ts';
import { CIO_SOURCE } from '../../../support/cio.ts';
import { root, skipUnless } from '../../../support/requirements.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { Harness } from '../../commands/harness.ts';
import { message, Peer } from '../../peer.ts';

interface Document {
  readonly checks: readonly {
    readonly id: string;
    readonly state: string;
    readonly reason?: string;
    readonly findings: readonly { readonly what: string; readonly why: string; readonly fix?: string }[];
  }[];
}

const IDS = [
  'daemon',
  'sockets',
  'hardening',
  'core-dumps',
  'swap',
  'store',
  'slots',
  'clock',
  'systemd',
  'units',
  'names',
  'plain-secrets',
];

const harness = await Harness.start({ after });

/** A home directory in which doctor finds nothing. */
const env = { HOME: temporaryDirectory({ after }) };

function parse(stdout: string): Map<string, Document['checks'][number]> {
  return new Map((JSON.parse(stdout) as Document).checks.map((check) => [check.id, check]));
}

describe('cio credential doctor', () => {
  it('checks a real daemon, and does not fail for a warning', async () => {
    for (const command of [harness.built, CIO_SOURCE]) {
      const { code, stdout, stderr } = await harness.run(['doctor', '--json'], { env, command });
      assert.equal(stderr, '');
      const checks = parse(stdout);
      assert.deepEqual([...checks.keys()], IDS);
      assert.deepEqual([checks.get('daemon')?.state, checks.get('sockets')?.state], ['ok', 'ok']);
      const slots = checks.get('slots');
      assert.equal(slots?.state, 'warning');
      assert.equal(slots.findings[0]?.fix, 'cio credential slot add recovery');
      const isBad = [...checks.values()].some(({ state }) => state === 'error');
      assert.equal(code, isBad ? EXIT.failed : EXIT.done, stdout);
      for (const { state, reason } of checks.values()) assert.equal(state === 'skipped' && reason === undefined, false);
    }
  });

  it('prints one line for each check, and one for each command that repairs something', async () => {
    const { stdout, stderr } = await harness.run(['doctor'], { env });
    assert.equal(stderr, '');
    const lines = stdout.split('\n');
    assert.equal(lines.filter((line) => /^[✔!✖–] /.test(line)).length, IDS.length);
    assert.ok(lines.includes('    fix: cio credential slot add recovery'), stdout);
    assert.match(lines.at(-2) ?? '', /^\d+ of 12 checks passed, .*\.$/);
    assert.ok(!stdout.includes('\u001b'));
  });

  it('finds what is wrong, and the commands it suggests repair it', async () => {
    const { stateDirectory } = harness.daemon;
    fs.chmodSync(stateDirectory, 0o755);
    fs.mkdirSync(path.join(env.HOME, '.aws'));
    fs.writeFileSync(path.join(env.HOME, '.aws/credentials'), 'aws_secret_access_key = canary-1b7d', { mode: 0o644 });
    await using client = await connect({ socket: harness.daemon.socketPath });
    await client.call('Create', { credentials: [{ name: 'cio_aws_passwort', value: 'canary-1b7d' }] });

    const { code, stdout } = await harness.run(['doctor', '--json'], { env });
    assert.equal(code, EXIT.failed);
    const checks = parse(stdout);
    assert.equal(checks.get('store')?.state, 'error');
    const fix = checks.get('store')?.findings[0]?.fix ?? '';
    assert.equal(fix, `chmod 0700 ${stateDirectory}`);
    assert.equal(
      checks.get('plain-secrets')?.findings[0]?.fix,
      `chmod 0600 ${path.join(env.HOME, '.aws/credentials')}`,
    );
    assert.match(checks.get('names')?.findings[0]?.what ?? '', /^cio_aws_passwort looks like a field/);
    assert.ok(!stdout.includes('canary'));
    assert.match((await harness.run(['doctor'], { env })).stdout, /^✖ The store\n {2}✖ .* has mode 0755, not 0700\n/m);

    fs.chmodSync(stateDirectory, 0o700);
    const fixed = parse((await harness.run(['doctor', '--json'], { env })).stdout).get('store');
    assert.deepEqual(
      fixed?.findings.filter(({ what }) => what.includes(' mode ')),
      [],
    );
  });

  it("checks the units of the caller's own systemd where the daemon is the caller's own", async (context) => {
    const [home, runtime] = [temporaryDirectory(context), temporaryDirectory(context)];
    fs.symlinkSync(path.dirname(harness.daemon.socketPath), path.join(runtime, 'cio-credentiald'));
    const socketPath = path.join(runtime, 'cio-credentiald', path.basename(harness.daemon.socketPath));
    const folder = path.join(home, '.config/systemd/user');
    fs.mkdirSync(path.join(folder, 'mine.service.d'), { recursive: true });
    fs.writeFileSync(path.join(folder, 'mine.service'), '[Service]\nExecStart=/bin/true\n');
    const load = '[Service]\nLoadCredential=my_password:%t/cio-credentiald/load\n';
    fs.writeFileSync(path.join(folder, 'mine.service.d/load.conf'), load);
    const units = async (XDG_RUNTIME_DIR: string): Promise<Document['checks'][number] | undefined> => {
      const place = { env: { HOME: home, XDG_RUNTIME_DIR }, socketPath };
      return parse((await harness.run(['doctor', '--json'], place)).stdout).get('units');
    };
    assert.deepEqual((await units(runtime))?.findings[0], {
      severity: 'warning',
      what: 'mine.service loads my_password: there is no credential my_password',
      why: 'the unit does not start, or waits if it was granted with --missing block',
      fix: 'cio credential create my_password && cio credential grant my_password --unit mine.service',
    });
    await using client = await connect({ socket: harness.daemon.socketPath });
    await client.call('Create', { credentials: [{ name: 'my_password', value: 'x' }] });
    assert.match((await units(runtime))?.findings[0]?.what ?? '', /^mine\.service loads my_password, which was not/);
    assert.deepEqual((await units('/nonexistent'))?.findings, [], 'of another systemd');
    await client.call('Grant', { target: 'my_password', grantees: [{ unit: 'mine.service' }] });
    assert.equal((await units(runtime))?.state, 'ok');
  });

  it(
    'tells an ordinary user less, and passes no check that it could not make',
    { skip: skipUnless(root) },
    async () => {
      const { code, stdout } = await harness.run(['doctor', '--json'], {
        env: { HOME: '/nonexistent' },
        as: { uid: 65534, gid: 65534 },
        command: harness.built,
      });
      const checks = parse(stdout);
      for (const id of ['hardening', 'core-dumps', 'swap', 'store', 'slots']) {
        assert.equal(checks.get(id)?.state, 'skipped', id);
        assert.notEqual(checks.get(id)?.reason, undefined);
      }
      assert.equal(code, EXIT.done, stdout);
    },
  );

  it('runs the other checks without a daemon, and exits with 7', async () => {
    const socketPath = '/nonexistent/io.cio.Credentials';
    const { code, stdout, stderr } = await harness.run(['doctor', '--json'], { env, socketPath });
    assert.deepEqual([code, stderr], [EXIT.notReachable, '']);
    const checks = parse(stdout);
    assert.deepEqual([...checks.keys()], IDS);
    assert.equal(checks.get('daemon')?.state, 'error');
    for (const id of ['hardening', 'store', 'slots']) assert.equal(checks.get(id)?.state, 'skipped', id);
    assert.notEqual(checks.get('clock'), undefined);
    const { code: exit } = await harness.run(['doctor'], { env, socketPath: temporaryDirectory({ after }) });
    assert.equal(exit, EXIT.notReachable);
  });

  it('runs the other checks where a locked store gives no list', async (context) => {
    await harness.succeed(['lock']);
    context.after(async () => {
      await using client = await connect({ socket: harness.daemon.socketPath });
      await client.call('Unlock', {});
    });
    const { code, stdout } = await harness.run(['doctor', '--json'], { env });
    assert.equal(code, EXIT.failed);
    const checks = parse(stdout);
    assert.equal(checks.get('daemon')?.findings[0]?.fix, 'cio credential unlock');
    assert.match(checks.get('names')?.reason ?? '', /the store is locked/);
  });

  it('does not wait for a daemon that does not answer', { timeout: 60_000 }, async (context) => {
    const hanging = await Peer.listen(context, () => undefined);
    const { code, stdout } = await harness.run(['doctor', '--json'], { env, socketPath: hanging.path });
    assert.equal(code, EXIT.notReachable);
    assert.match(parse(stdout).get('daemon')?.findings[0]?.what ?? '', /does not answer$/);
  });

  it('does not wait for a list that never ends', { timeout: 60_000 }, async (context) => {
    const endless = await Peer.onCalls(context, ({ method }, socket) => {
      const status = { version: '9', pid: 1, uid: 4242, started: 1, locked: false, administrator: true };
      const list = message({ parameters: { credentials: [], sets: [], damaged: 0 }, continues: true });
      if (method.endsWith('.Status')) socket.write(message({ parameters: { ...status, stateDirectory: '/etc' } }));
      else {
        const timer = setInterval(() => socket.write(list), 100);
        socket.once('close', () => clearInterval(timer));
      }
    });
    const { stdout } = await harness.run(['doctor', '--json'], { env, socketPath: endless.path });
    assert.match(parse(stdout).get('names')?.reason ?? '', /the credentials cannot be listed within 10 s$/);
  });

  it('does not trust the answers of a process that may not be the daemon', async (context) => {
    const nonsense = await Peer.onCalls(context, (_call, socket) => socket.end('nonsense\0'));
    const garbled = await harness.run(['doctor', '--json'], { env, socketPath: nonsense.path });
    assert.equal(garbled.code, EXIT.failed);
    assert.equal(parse(garbled.stdout).get('daemon')?.state, 'error');

    const stranger = await Peer.onCalls(context, ({ method }, socket) => {
      const status = { version: '\u001b[31m9', pid: 1, uid: 4242, started: 1, locked: false, administrator: true };
      const list = { credentials: [], sets: [], damaged: 0 };
      const parameters = method.endsWith('.Status') ? { ...status, stateDirectory: '/etc' } : list;
      socket.write(message({ parameters }));
    });
    const { code, stdout } = await harness.run(['doctor'], { env, socketPath: stranger.path });
    assert.equal(code, EXIT.failed);
    assert.match(stdout, /✖ what answers at .* may not be the daemon: it runs as uid 4242/);
    assert.match(stdout, /– The store: not checked: the daemon is not trusted to say where its store is/);
    assert.ok(!stdout.includes('\u001b') && !stdout.includes('/etc\n'), stdout);
  });

  it('works without the commands of systemd', async () => {
    const { code, stdout } = await harness.run(['doctor', '--json'], { env: { ...env, PATH: '/nonexistent' } });
    assert.notEqual(code, null);
    assert.deepEqual([...parse(stdout).keys()], IDS);
  });
});
