import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { cio, CIO_SOURCE, type CioResult } from '../../support/cio.ts';
import { Service } from '../../support/process.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { message, Peer } from '../peer.ts';
import { Harness, newName, REPOSITORY, UNTOLD } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio', () => {
  it("prints Storidge's messages for Storidge's four credentials", async () => {
    for (const [name, value] of [
      ['cio_aws_backup_repo', REPOSITORY],
      ['cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ'],
      ['cio_aws_secret_key', 'mysecret'],
      ['cio_aws_backup_password', 'password'],
    ] as const) {
      const { code, stdout, stderr } = await harness.run(['create', name, value]);
      assert.deepEqual([code, stdout], [EXIT.done, '']);
      assert.equal(stderr, `Succeed: Create credential: Credential ${name} saved\n`);
    }
    const table = await harness.succeed(['list', 'aws']);
    assert.match(table, /^aws +aws +shared +just now +ready, unproved$/m);
    assert.match(table, /^cio_aws_access_key +1 +just now +shared +AKIAYHD623GGZX7VDFMJ$/m);
    assert.match(table, /^cio_aws_secret_key +1 +just now +shared +-$/m);
    assert.ok(!table.includes('mysecret') && !table.includes('password\n'));
    const { stderr } = await harness.run(['remove', 'aws', '--yes']);
    assert.match(stderr, /^Succeed: Remove credential: Credential cio_aws_backup_repo removed$/m);
    assert.equal(stderr.split('\n').length, 5);
    assert.equal(await harness.succeed(['list', 'aws']), '');
  });

  it('accepts the aliases of its commands', async () => {
    const name = newName();
    for (const [group, ...words] of [
      ['credentials', 'add', name, 'v'],
      ['cred', 'ls', name],
      ['cred', 'delete', name, '-y'],
      ['cred', 'add', name, 'v'],
      ['cred', 'rm', name, '-y'],
    ] as const) {
      const { code, stderr } = await cio([group, ...words], {
        command: harness.built,
        socketPath: harness.daemon.socketPath,
      });
      assert.equal(code, EXIT.done, stderr);
    }
  });

  it('runs from its sources as it does when built', async () => {
    const name = newName();
    await harness.succeed(['create', name, 'v'], { command: CIO_SOURCE });
    assert.equal(await harness.succeed(['get', name], { command: CIO_SOURCE }), 'v');
    await harness.fail(EXIT.notFound, ['get', newName()], { command: CIO_SOURCE });
  });

  it('prints no deprecation warning, even if Node is told to', async () => {
    const name = await harness.store('v');
    for (const env of [{ NODE_PENDING_DEPRECATION: '1' }, { NODE_OPTIONS: '--pending-deprecation' }]) {
      const { stdout, stderr } = await harness.run(['get', name], { env });
      assert.deepEqual([stdout, stderr], ['v', '']);
    }
  });

  it('prints its version', async () => {
    const { version } = JSON.parse(
      fs.readFileSync(path.join(import.meta.dirname, '../../../package.json'), 'utf8'),
    ) as {
      version: string;
    };
    for (const command of [harness.built, CIO_SOURCE]) {
      assert.equal((await cio(['--version'], { command })).stdout, `${version}\n`);
    }
  });

  it('prints help to standard output if asked, else to standard error with exit code 2', async () => {
    for (const command of [harness.built, CIO_SOURCE]) {
      const asked = await cio(['credential', '--help'], { command });
      assert.deepEqual([asked.code, asked.stderr], [EXIT.done, '']);
      assert.match(asked.stdout, /create +Store a credential, or a whole set +\[aliases: add\]/);
      assert.match(asked.stdout, /^ +-V, --version +Print the version$/m);
      assert.ok(!asked.stdout.includes('__complete'));
      for (const words of [[], ['credential', 'slot']]) {
        const { code, stdout, stderr } = await cio(words, { command });
        assert.deepEqual([code, stdout], [EXIT.usage, '']);
        assert.match(stderr, /Commands:/);
      }
    }
    const help = await harness.succeed(['create', '--help']);
    assert.match(help, /^cio credential create \[NAME\] \[VALUE\]/);
    for (const part of ['--replace', '--from-file PATH', '--owner', '-j, --json', 'Also: add', 'Examples:']) {
      assert.ok(help.includes(part), part);
    }
    assert.ok(help.split('\n').every((line) => line.length <= 80));
    assert.match(await harness.succeed(['export', '--help']), /^[\n -~]+$/, 'every locale can show it');
  });

  it('exits with 2 for a wrong command line, without asking the daemon', async () => {
    const options = { socketPath: '/nonexistent/socket' };
    for (const words of [
      ['nonsense'],
      ['get'],
      ['get', 'a', 'b'],
      ['get', 'a', '--nonsense'],
      ['create', 'a', 'b', '--from-file', '/dev/null'],
      ['remove', 'a'],
      ['slot', 'remove', 'a'],
      ['fsck', '--repair'],
      ['slot', 'add', 'nonsense'],
      ['slot', 'add', 'keyfile'],
      ['slot', 'add', 'systemd'],
      ['slot', 'add', 'recovery', 'x'],
      ['grant', 'a'],
      ['revoke', 'a'],
      ['grant', 'a', '--user', 'nobody-of-this-name'],
      ['grant', 'a', '--group', 'nobody-of-this-name'],
      ['list', '--owner', 'nobody-of-this-name'],
      ['list', '--owner', '4294967295'],
      ['list', '--owner', '0', '--all-owners'],
      ['rollback', 'a', '--version', '1', '--generation', '1'],
      ['completion', 'tcsh'],
      ['exec', 'aws'],
    ]) {
      await harness.fail(EXIT.usage, words, options);
    }
  });

  it('does its work though its output cannot be written, and reports success by its exit code', async () => {
    for (const untold of UNTOLD) {
      const name = newName();
      assert.equal((await harness.runAfter(untold, ['create', name, 'v'])).code, EXIT.done);
      assert.deepEqual(await harness.runAfter(untold, ['get', name]), { code: EXIT.done, stdout: 'v' });
      assert.equal((await harness.runAfter(untold, ['get', newName()])).code, EXIT.notFound);
      assert.equal((await harness.runAfter(untold, ['slot'])).code, EXIT.usage);
    }
  });

  it('works in a directory that was removed, and says so when given a relative path', async (t) => {
    const name = await harness.store('value');
    const inRemoved = (...words: string[]): Promise<CioResult> => {
      const folder = path.join(temporaryDirectory(t), 'removed');
      fs.mkdirSync(folder);
      const script = 'cd "$1" && rmdir "$1" && shift && exec "$@"';
      return harness.run(words, { command: ['/bin/sh', '-c', script, 'sh', folder, ...harness.built] });
    };
    for (const words of [['get', name], ['list', name], ['list', '--help'], ['--help']]) {
      const { code, stdout, stderr } = await inRemoved(...words);
      assert.deepEqual([code, stderr, stdout === ''], [EXIT.done, '', false], words.join(' '));
    }
    for (const words of [
      ['create', newName(), '--from-file', 'there'],
      ['import', 'there'],
      ['backup', 'there'],
    ]) {
      const { code, stderr } = await inRemoved(...words);
      assert.equal(code, EXIT.failed);
      assert.match(stderr, /: the current directory was removed, [^\n]+\nHint: change to another one: cd\n$/);
    }
  });

  it('says where to put a command that was typed without `credential`', async () => {
    const { code, stderr } = await cio(['list'], { command: harness.built });
    assert.equal(code, EXIT.usage);
    assert.match(stderr, /\nHint: it needs the word credential: cio credential list\n$/);
  });

  it("opens no debugger on SIGUSR1, and leaves the signal's disposition to a command unchanged", async (t) => {
    const service = new Service(t, [...harness.built, 'credential', 'watch', '--json'], { env: harness.environment });
    await service.printed('"settled"');
    service.signal('SIGUSR1');
    assert.deepEqual(await service.exited, { code: 138, signal: null });
    assert.doesNotMatch(service.output, /[Dd]ebugger/);
    const set = await harness.storeSet();
    const status = await harness.succeed(['exec', set, '--', 'cat', '/proc/self/status']);
    for (const mask of ['SigBlk', 'SigIgn']) assert.match(status, new RegExp(`^${mask}:\\s0+$`, 'm'));
  });
});

describe('cio without a daemon', () => {
  it('exits with 7, and says how to start one', async (t) => {
    const nowhere = { socketPath: path.join(temporaryDirectory(t), 'socket') };
    for (const words of [
      ['list'],
      ['get', 'x'],
      ['create', 'x', 'v'],
      ['remove', 'x', '-y'],
      ['status'],
      ['lock'],
      ['unlock'],
      ['fsck'],
      ['rekey'],
      ['env', 'aws'],
      ['exec', 'aws', '--', 'true'],
      ['slot', 'list'],
    ]) {
      assert.match(await harness.fail(EXIT.notReachable, words, nowhere), /no daemon: .*\nHint: start the daemon/);
    }
    const { stdout } = await harness.run(['list', '--json'], nowhere);
    const { error } = JSON.parse(stdout) as { error: Record<string, unknown> };
    assert.deepEqual(
      [error['code'], error['reason'], error['socket']],
      ['NotReachable', 'not_found', nowhere.socketPath],
    );
  });

  it('says what is wrong with the socket', async (t) => {
    const stale = await Peer.listen(t, () => undefined);
    stale.stopListening();
    assert.match(await harness.fail(EXIT.notReachable, ['list'], { socketPath: stale.path }), /nothing listens/);
    assert.match(
      await harness.fail(EXIT.notReachable, ['list'], { socketPath: `/tmp/${'x'.repeat(110)}` }),
      /115 bytes, more than 107/,
    );
    const mute = await Peer.listen(t, (socket) => void socket.end());
    assert.match(await harness.fail(EXIT.notReachable, ['list'], { socketPath: mute.path }), /closed the connection/);
    const other = await Peer.listen(t, (socket) => void socket.write('220 smtp ready\r\n\0'));
    assert.match(
      await harness.fail(EXIT.failed, ['list'], { socketPath: other.path }),
      /the reply from \S+ is not valid/,
    );
  });

  it('reports the sets validated so far if the daemon then refuses everything or goes away', async (t) => {
    const gone = { exit: EXIT.notReachable, error: { code: 'NotReachable', name: 'third' } };
    const busy = { exit: EXIT.failed, error: { code: 'Busy', name: 'third' } };
    for (const { exit, error } of [busy, gone]) {
      const peer = await Peer.onCalls(t, ({ parameters: { target } }, socket) => {
        const answers = new Map<unknown, object>([
          ['first', { parameters: { set: 'first', owner: 0, findings: [], failed: true } }],
          ['second', { error: 'io.cio.Credentials.AccessDenied', parameters: { name: 'second', right: 'read' } }],
          ['third', { error: 'io.cio.Credentials.Busy', parameters: {} }],
        ]);
        if (target === 'third' && error === gone.error) socket.end();
        else socket.write(message(answers.get(target) ?? assert.fail('it goes on')));
      });
      const words = ['validate', 'first', 'second', 'third', 'fourth', '--json'];
      const { code, stdout, stderr } = await harness.run(words, { socketPath: peer.path });
      assert.deepEqual([code, stderr], [exit, ''], stdout);
      const { sets, errors } = JSON.parse(stdout) as { sets: { set: string }[]; errors: (typeof error)[] };
      assert.deepEqual(
        [sets.map(({ set }) => set), errors.map(({ code: each, name }) => ({ code: each, name }))],
        [['first'], [{ code: 'AccessDenied', name: 'second' }, error]],
      );
    }
  });

  it("does not trust another user's directory that the environment names", { skip: skipUnless(root) }, async (t) => {
    const runtime = temporaryDirectory(t);
    const trap = path.join(runtime, 'cio-credentiald');
    fs.mkdirSync(trap);
    fs.chownSync(trap, 1234, 1234);
    const told = await harness.run(['create', 'x', 'canary'], {
      socketPath: '',
      env: { XDG_RUNTIME_DIR: runtime, CIO_CREDENTIAL_SOCKET: '' },
    });
    assert.equal(told.code, EXIT.notReachable);
    assert.match(told.stderr, /is not yours alone/);
  });

  it('finds the daemon by the directory in the environment', async () => {
    const env = { CIO_RUNTIME_DIR: harness.daemon.runtimeDirectory, CIO_CREDENTIAL_SOCKET: '' };
    const { code } = await cio(['credential', 'status'], { command: harness.built, env });
    assert.equal(code, EXIT.done);
  });
});

describe('cio for other users', { skip: skipUnless(root, command('setpriv', 'util-linux')) }, () => {
  it('shows users their own credentials, and refuses what is for administrators', async (t) => {
    const ann = harness.asUser(t, 54321);
    const [name, granted] = [newName(), await harness.store('shared')];
    await harness.succeed(['create', name, "ann's"], ann);
    await harness.fail(EXIT.notFound, ['get', name]);
    assert.equal(await harness.succeed(['get', name, '--owner', '54321']), "ann's");
    await harness.fail(EXIT.notFound, ['get', granted], ann);
    await harness.succeed(['grant', granted, '--user', '54321']);
    assert.equal(await harness.succeed(['get', granted], ann), 'shared');
    const { credentials } = (await harness.json(['list'], ann)) as { credentials: { name: string }[] };
    assert.deepEqual(credentials.map((each) => each.name).toSorted(), [name, granted].toSorted());
    for (const words of [
      ['lock'],
      ['rekey'],
      ['fsck'],
      ['slot', 'list'],
      ['slot', 'add', 'recovery'],
      ['list', '--all-owners'],
    ]) {
      assert.match(await harness.fail(EXIT.accessDenied, words, ann), /no right to administer/);
    }
    assert.match(
      await harness.fail(EXIT.accessDenied, ['rollback', granted], ann),
      /no right to write \S+\nHint: root, .* or its owner can do it\n$/,
    );
    assert.match(await harness.succeed(['status'], ann), /You are +a user/);
    await harness
      .fail(EXIT.accessDenied, ['get', name, '--owner', '0'], ann)
      .catch(() => harness.fail(EXIT.notFound, ['get', name, '--owner', '0'], ann));
  });
});

describe('the built cio', () => {
  it("runs with its code cache, without one, and with another program's", async (t) => {
    const copy = temporaryDirectory(t);
    for (const file of fs.readdirSync(harness.folder))
      fs.copyFileSync(path.join(harness.folder, file), path.join(copy, file));
    const cache = fs.readdirSync(copy).find((file) => file.endsWith('.cache')) ?? '';
    const version = async (): Promise<CioResult> =>
      cio(['--version'], { command: [process.execPath, path.join(copy, 'cio.cjs')] });
    const good = await version();
    assert.deepEqual([good.code, good.stderr], [0, '']);
    const bytes = fs.readFileSync(path.join(copy, cache));
    for (const broken of [
      undefined,
      Buffer.alloc(0),
      bytes.subarray(0, 100),
      Buffer.concat([Buffer.alloc(32, 'f'), bytes.subarray(32)]),
    ]) {
      fs.rmSync(path.join(copy, cache), { force: true });
      if (broken !== undefined) fs.writeFileSync(path.join(copy, cache), broken);
      const { code, stdout, stderr } = await version();
      assert.deepEqual([code, stdout, stderr], [0, good.stdout, '']);
    }
  });
});
