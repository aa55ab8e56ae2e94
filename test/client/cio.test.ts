import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { cio, CIO_SOURCE, type CioOptions, type CioResult } from '../support/cio.ts';
import { startDaemon } from '../support/daemon.ts';
import { run as runProcess } from '../support/process.ts';
import { command, root, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { buildCio } from './built-cio.ts';
import { Peer } from './peer.ts';
import { quoted, TERMINAL, TerminalProgram } from './terminal.ts';

const REPOSITORY = 's3:https://s3.amazonaws.com/backup-123';

const folder = buildCio({ after });
const built: readonly string[] = [process.execPath, path.join(folder, 'cio.cjs')];
const daemon = await startDaemon({ after });

/** Runs `cio credential WORDS` against the daemon. */
function credential(words: readonly string[], options: CioOptions = {}): Promise<CioResult> {
  return cio(['credential', ...words], { command: built, socketPath: daemon.socketPath, ...options });
}

/** The same, where it has to succeed: its standard output. */
async function succeed(words: readonly string[], options: CioOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await credential(words, options);
  assert.equal(code, EXIT.done, `cio credential ${words.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** The same, where it has to fail: what is said, by one line that fails and one that helps. */
async function fail(exit: number, words: readonly string[], options: CioOptions = {}): Promise<string> {
  const { code, signal, stdout, stderr } = await credential(words, options);
  assert.deepEqual([code, signal], [exit, null], `cio credential ${words.join(' ')}: ${stderr}${stdout}`);
  assert.match(stderr, /^Failed: [^\n]+\n(Hint: [^\n]+\n)?$/);
  assert.equal(stdout, '');
  return stderr;
}

async function json(words: readonly string[], options: CioOptions = {}): Promise<unknown> {
  return JSON.parse(await succeed([...words, '--json'], options));
}

/** A name that no other test has. */
function newName(): string {
  return `name-${randomBytes(6).toString('hex')}`;
}

/** Stores the four credentials of a new set `offsite…` and gives its name. */
async function newSet(values: Readonly<Record<string, string>> = {}): Promise<string> {
  const set = `s3_${randomBytes(6).toString('hex')}`;
  const fields = { backup_repo: REPOSITORY, access_key: 'AK', secret_key: 'SK', backup_password: 'PW', ...values };
  for (const [field, value] of Object.entries(fields)) {
    await succeed(['create', `cio_${set}_${field}`], { stdin: value });
  }
  return set;
}

describe('cio', () => {
  it("speaks Storidge's words for Storidge's four credentials", async () => {
    for (const [name, value] of [
      ['cio_aws_backup_repo', REPOSITORY],
      ['cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ'],
      ['cio_aws_secret_key', 'mysecret'],
      ['cio_aws_backup_password', 'password'],
    ] as const) {
      const { code, stdout, stderr } = await credential(['create', name, value]);
      assert.deepEqual([code, stdout], [EXIT.done, '']);
      assert.equal(stderr, `Succeed: Create credential: Credential ${name} saved\n`);
    }
    const table = await succeed(['list', 'aws']);
    assert.match(table, /^aws +aws +shared +just now +ready$/m);
    assert.match(table, /^cio_aws_access_key +1 +just now +shared +AKIAYHD623GGZX7VDFMJ$/m);
    assert.match(table, /^cio_aws_secret_key +1 +just now +shared +-$/m);
    assert.ok(!table.includes('mysecret') && !table.includes('password\n'));
    const { stderr } = await credential(['remove', 'aws', '--yes']);
    assert.match(stderr, /^Succeed: Remove credential: Credential cio_aws_backup_repo removed$/m);
    assert.equal(stderr.split('\n').length, 5);
    assert.equal(await succeed(['list', 'aws']), '');
  });

  it('knows its aliases', async () => {
    const name = newName();
    for (const [group, ...words] of [
      ['credentials', 'add', name, 'v'],
      ['cred', 'ls', name],
      ['cred', 'delete', name, '-y'],
      ['cred', 'add', name, 'v'],
      ['cred', 'rm', name, '-y'],
    ] as const) {
      const { code, stderr } = await cio([group, ...words], { command: built, socketPath: daemon.socketPath });
      assert.equal(code, EXIT.done, stderr);
    }
  });

  it('runs from its sources as it does when it is built', async () => {
    const name = newName();
    await succeed(['create', name, 'v'], { command: CIO_SOURCE });
    assert.equal(await succeed(['get', name], { command: CIO_SOURCE }), 'v');
    await fail(EXIT.notFound, ['get', newName()], { command: CIO_SOURCE });
  });

  it('tells its version', async () => {
    const { version } = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string;
    };
    for (const command of [built, CIO_SOURCE]) {
      assert.equal((await cio(['--version'], { command })).stdout, `${version}\n`);
    }
  });

  it('shows help on standard output where it is asked for, else on standard error with exit code 2', async () => {
    for (const command of [built, CIO_SOURCE]) {
      const asked = await cio(['credential', '--help'], { command });
      assert.deepEqual([asked.code, asked.stderr], [EXIT.done, '']);
      assert.match(asked.stdout, /create +Store a credential +\[aliases: add\]/);
      assert.ok(!asked.stdout.includes('__complete'));
      for (const words of [[], ['credential'], ['credential', 'slot']]) {
        const { code, stdout, stderr } = await cio(words, { command });
        assert.deepEqual([code, stdout], [EXIT.usage, '']);
        assert.match(stderr, /Commands:/);
      }
    }
    const help = await succeed(['create', '--help']);
    assert.match(help, /^cio credential create \[NAME\] \[VALUE\]/);
    for (const part of ['--replace', '--from-file PATH', '--owner', '-j, --json', 'Also: add', 'Examples:']) {
      assert.ok(help.includes(part), part);
    }
    assert.ok(help.split('\n').every((line) => line.length <= 80));
  });

  it('tells a command line that is wrong by exit code 2, without the daemon', async () => {
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
      ['rollback', 'a', '--version', '1', '--generation', '1'],
      ['completion', 'tcsh'],
      ['exec', 'aws'],
    ]) {
      await fail(EXIT.usage, words, options);
    }
  });
});

describe('cio credential create', () => {
  it('says the name under which it stored what was called by another spelling', async () => {
    const { stderr } = await credential(['create', 'cio_alt_minio_restic_repo', 's3:http://192.168.1.100:9001/bucket']);
    assert.equal(stderr, 'Succeed: Create credential: Credential cio_minio_alt_backup_repo saved\n');
    assert.equal(await succeed(['get', 'cio_minio_alt_restic_repo']), 's3:http://192.168.1.100:9001/bucket');
  });

  it('reads standard input, and drops one newline at its end', async () => {
    for (const [stdin, value, ...options] of [
      ['secret', 'secret'],
      ['secret\n', 'secret'],
      ['secret\r\n', 'secret'],
      ['secret\n\n', 'secret\n'],
      ['two\nlines\n', 'two\nlines'],
      ['secret\n', 'secret\n', '--keep-newline'],
      ['\n', '\n', '--keep-newline'],
      ['-', '-', '-'],
      [' spaces ', ' spaces '],
    ] as const) {
      const name = newName();
      await succeed(['create', name, ...options], { stdin });
      assert.equal(await succeed(['get', name]), value);
    }
  });

  it('keeps every byte, and a value of the largest size', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    for (const value of [bytes, randomBytes(VALUE_BYTES_MAX), Buffer.alloc(VALUE_BYTES_MAX, 1), Buffer.from('ü🔑\0')]) {
      const name = newName();
      await succeed(['create', name], { stdin: value });
      const { stdoutBytes } = await credential(['get', name]);
      assert.ok(value.equals(stdoutBytes), `${value.length} bytes`);
    }
  });

  it('reads a file', async (t) => {
    const file = path.join(temporaryDirectory(t), 'value');
    fs.writeFileSync(file, 'from a file\n');
    const name = newName();
    await succeed(['create', name, '--from-file', file]);
    assert.equal(await succeed(['get', name]), 'from a file');
    await fail(EXIT.failed, ['create', newName(), '--from-file', `${file}x`]);
    await fail(EXIT.failed, ['create', newName(), '--from-file', path.dirname(file)]);
  });

  it('refuses an empty value, wherever it comes from', async (t) => {
    const empty = path.join(temporaryDirectory(t), 'empty');
    fs.writeFileSync(empty, '\n');
    await fail(EXIT.invalid, ['create', newName(), '']);
    await fail(EXIT.invalid, ['create', newName()], { stdin: '' });
    await fail(EXIT.invalid, ['create', newName()], { stdin: '\n' });
    await fail(EXIT.invalid, ['create', newName()], { stdin: { closed: true } });
    await fail(EXIT.invalid, ['create', newName(), '--from-file', empty]);
  });

  it('refuses a value that is too large, and does not read it to its end', async () => {
    await fail(EXIT.invalid, ['create', newName()], { stdin: Buffer.alloc(VALUE_BYTES_MAX + 1, 'x') });
    await fail(EXIT.invalid, ['create', newName(), '--from-file', '/dev/zero']);
  });

  it('refuses a name that is none, without repeating more than what is valid of it', async () => {
    for (const name of ['UPPER', 'ünïcode', 'two words', 'new\nline', '../path', 'x'.repeat(129), '-', '_x']) {
      await fail(EXIT.invalid, ['create', '--', name, 'v']);
    }
    await fail(EXIT.invalid, ['create', '0191e1f0-7c3a-7000-8000-00000000000a', 'v']);
    const told = await fail(EXIT.invalid, ['create', 'abcSECRETabc', 'v']);
    assert.ok(told.includes('abc') && !told.includes('SECRET'));
    assert.doesNotMatch(await fail(EXIT.invalid, ['create', '--', 'a\u001b[31m', 'v']), /\u001b/);
  });

  it('refuses a value that its field cannot have, without repeating it', async () => {
    for (const [name, value] of [
      ['cio_aws_backup_repo', 'https://canary.example/bucket'],
      ['cio_aws_access_key', 'canary with spaces'],
      ['cio_offsite_provider', 'canary'],
    ] as const) {
      const told = await fail(EXIT.invalid, ['create', name, value]);
      assert.ok(told.includes(name) && !told.includes('canary'), told);
    }
  });

  it('leaves what exists alone unless --replace is given', async () => {
    const name = newName();
    await succeed(['create', name, 'old']);
    const told = await fail(EXIT.alreadyExists, ['create', name, 'new']);
    assert.match(told, /exists already\nHint: --replace/);
    assert.equal(await succeed(['get', name]), 'old');
    await succeed(['create', name, 'new', '--replace']);
    assert.equal(await succeed(['get', name]), 'new');
  });

  it('gives what it did as JSON', async () => {
    const name = newName();
    const { generation, saved } = (await json(['create', name, 'v'])) as { generation: number; saved: unknown };
    assert.ok(generation > 0);
    assert.deepEqual(saved, [{ name, version: 1, created: true }]);
  });

  it('refuses an argument that is not UTF-8, which Node would change', async () => {
    const shell = `exec ${built.map(quoted).join(' ')} credential create ${newName()} "$(printf 'caf\\351')"`;
    const { code, stderr } = await runProcess(['/bin/sh', '-c', shell], {
      env: { PATH: '/usr/bin:/bin', CIO_CREDENTIAL_SOCKET: daemon.socketPath },
    });
    assert.equal(code, EXIT.usage);
    assert.match(stderr, /not UTF-8/);
  });
});

describe('cio credential get', () => {
  it('gives the bytes with nothing added', async () => {
    const name = newName();
    await succeed(['create', name], { stdin: 'value' });
    const { stdout, stderr } = await credential(['get', name]);
    assert.deepEqual([stdout, stderr], ['value', '']);
  });

  it('gives older versions', async () => {
    const name = newName();
    await succeed(['create', name, 'one']);
    await succeed(['create', name, 'two', '--replace']);
    assert.equal(await succeed(['get', name, '--version', '1']), 'one');
    assert.equal(await succeed(['get', name, '--version=2']), 'two');
    await fail(EXIT.notFound, ['get', name, '--version', '3']);
  });

  it('gives JSON, with text as text and bytes in base64', async () => {
    const [text, bytes] = [newName(), newName()];
    await succeed(['create', text], { stdin: 'ü' });
    await succeed(['create', bytes], { stdin: Buffer.from([0xff]) });
    const reply = (await json(['get', text])) as Record<string, unknown>;
    assert.deepEqual([reply['name'], reply['value'], reply['version']], [text, 'ü', 1]);
    assert.deepEqual(((await json(['get', bytes])) as Record<string, unknown>)['data'], '/w==');
  });

  it('tells what is not there, as text and as JSON', async () => {
    assert.match(
      await fail(EXIT.notFound, ['get', 'cio_aws_nowhere']),
      /credential cio_aws_nowhere not found\nHint: cio credential list/,
    );
    const { code, stdout, stderr } = await credential(['get', 'cio_aws_nowhere', '--json']);
    assert.deepEqual([code, stderr], [EXIT.notFound, '']);
    assert.deepEqual(JSON.parse(stdout), {
      error: {
        code: 'NotFound',
        name: 'cio_aws_nowhere',
        message: 'credential cio_aws_nowhere not found',
        hint: 'cio credential list shows what there is',
      },
    });
  });

  it('does not repeat a secret that was typed for the name', async () => {
    const told = await fail(EXIT.notFound, ['get', 'wjalrxutnfemik7mdengbpxrficyexamplekey']);
    assert.ok(!told.includes('wjalrxutnfemik7'));
  });

  it('ends quietly where nobody reads, and tells where nothing can be written', async () => {
    const name = newName();
    await succeed(['create', name], { stdin: Buffer.alloc(VALUE_BYTES_MAX, 'x') });
    const shell = (line: string): Promise<{ code: number | null; stderr: string }> =>
      runProcess(['/bin/bash', '-c', line, 'sh', ...built, 'credential', 'get', name], {
        env: { PATH: '/usr/bin:/bin', CIO_CREDENTIAL_SOCKET: daemon.socketPath },
      });
    const gone = await shell('set -o pipefail; "$@" | head -c 10');
    assert.deepEqual([gone.code, gone.stderr], [EXIT.done, '']);
    const full = await shell('"$@" > /dev/full');
    assert.equal(full.code, EXIT.failed);
    assert.match(full.stderr, /cannot write to standard output: ENOSPC/);
    const slow = await shell('"$@" | (sleep 0.2; wc -c)');
    assert.equal(slow.code, EXIT.done);
  });
});

describe('cio credential list', () => {
  it('shows what a set misses', async () => {
    await succeed(['create', 'cio_minio_access_key', 'AK']);
    assert.match(await succeed(['list', 'minio']), /^minio .* misses backup_repo, secret_key, backup_password$/m);
    await succeed(['remove', 'minio', '--yes']);
  });

  it('takes names, sets, UUIDs and patterns', async () => {
    const set = await newSet();
    const { sets, credentials } = (await json(['list', set])) as {
      sets: { set: string; uuid: string; ready: boolean }[];
      credentials: { name: string }[];
    };
    assert.equal(credentials.length, 4);
    assert.deepEqual([sets.length, sets[0]?.set, sets[0]?.ready], [1, set, true]);
    const namesOf = async (...patterns: string[]): Promise<string[]> =>
      ((await json(['list', ...patterns])) as { credentials: { name: string }[] }).credentials.map(({ name }) => name);
    assert.deepEqual(
      await namesOf(sets[0]?.uuid ?? ''),
      credentials.map(({ name }) => name),
    );
    assert.deepEqual(await namesOf(`cio_${set}_*_key`), [`cio_${set}_access_key`, `cio_${set}_secret_key`]);
    assert.deepEqual(await namesOf(`cio_${set}_access_key`, `cio_${set}_backup_?epo`), [
      `cio_${set}_access_key`,
      `cio_${set}_backup_repo`,
    ]);
    assert.deepEqual(await namesOf('nothing-like-it'), []);
  });

  it('tells of an empty list on standard error', async () => {
    const { code, stdout, stderr } = await credential(['list', 'nothing-like-it']);
    assert.deepEqual([code, stdout, stderr], [EXIT.done, '', 'No credentials.\n']);
  });

  it('never shows a secret', async () => {
    const set = await newSet({
      secret_key: 'canarysecret',
      backup_password: 'canarypassword',
      session_token: 'canarytoken',
    });
    await succeed(['create', newName()], { stdin: 'canaryfree' });
    for (const words of [['list'], ['list', '--json'], ['list', set], ['status'], ['status', '--json']]) {
      assert.doesNotMatch(await succeed(words), /canary/);
    }
  });

  it('lists a thousand credentials', async () => {
    // One by one: the protocol takes many in a call, the command line one.
    const names = Array.from({ length: 3 }, () => newName()).toSorted();
    for (const name of names) await succeed(['create', name, 'v']);
    const { credentials } = (await json(['list', 'name-*'])) as { credentials: { name: string }[] };
    const all = credentials.map(({ name }) => name);
    assert.deepEqual(all, all.toSorted());
    for (const name of names) assert.ok(all.includes(name));
  });
});

describe('cio credential remove', () => {
  it('removes several or none', async () => {
    const [one, two] = [newName(), newName()];
    await succeed(['create', one, 'v']);
    await succeed(['create', two, 'v']);
    await fail(EXIT.notFound, ['remove', one, newName(), two, '--yes']);
    assert.equal(await succeed(['get', one]), 'v');
    const { removed } = (await json(['remove', one, two, one, '--yes'])) as { removed: string[] };
    assert.deepEqual(removed.toSorted(), [one, two].toSorted());
    await fail(EXIT.notFound, ['get', one]);
  });

  it('removes a set by its name or UUID', async () => {
    for (const by of ['set', 'uuid'] as const) {
      const set = await newSet();
      const { sets } = (await json(['list', set])) as { sets: { set: string; uuid: string }[] };
      await succeed(['remove', sets[0]?.[by] ?? '', '--yes']);
      assert.equal(await succeed(['list', set]), '');
    }
  });

  it('asks no pipe, and says how to do without', async () => {
    const name = newName();
    await succeed(['create', name, 'v']);
    assert.match(await fail(EXIT.usage, ['remove', name], { stdin: 'y\n' }), /give --yes/);
    assert.equal(await succeed(['get', name]), 'v');
  });
});

describe('cio credential grant and revoke', () => {
  it('grant to units, users and groups, show it, and take it back', async () => {
    const name = newName();
    await succeed(['create', name, 'v']);
    const grantsOf = async (): Promise<unknown> =>
      ((await json(['list', name])) as { credentials: { grants: unknown }[] }).credentials[0]?.grants;
    const { stderr } = await credential([
      'grant',
      name,
      '--unit',
      'restic@.service',
      '--user',
      'nobody',
      '--group',
      '7',
      '--user=12',
    ]);
    assert.equal(
      stderr,
      `Succeed: Grant credential: ${name} granted to unit restic@.service and user 65534 and user 12 and group 7\n`,
    );
    const grants = (await grantsOf()) as unknown[];
    assert.equal(grants.length, 4);
    for (const grantee of [{ unit: 'restic@.service' }, { uid: 65534 }, { uid: 12 }, { gid: 7 }]) {
      assert.ok(
        grants.some((grant) => JSON.stringify(grant) === JSON.stringify(grantee)),
        JSON.stringify(grantee),
      );
    }
    assert.match(await succeed(['revoke', name, '--user', 'nobody', '--json']), /"revoked":1/);
    await succeed(['revoke', name, '--unit', 'restic@.service', '--user', '12', '--group', '7']);
    assert.deepEqual(await grantsOf(), []);
    assert.match((await credential(['revoke', name, '--user', '12'])).stderr, /was not granted/);
  });

  it('refuse what is not there, and what is no unit', async () => {
    await fail(EXIT.notFound, ['grant', newName(), '--user', '12']);
    const name = newName();
    await succeed(['create', name, 'v']);
    await fail(EXIT.invalid, ['grant', name, '--unit', 'no unit']);
  });
});

describe('cio credential history and rollback', () => {
  it('show the versions and bring one back, without showing it', async () => {
    const name = newName();
    for (const value of ['canary1', 'canary2', 'canary3']) await succeed(['create', name, value, '--replace']);
    const { stdout, stderr } = await credential(['rollback', name]);
    assert.deepEqual(
      [stdout, stderr],
      ['', `Succeed: Rollback credential: Credential ${name} restored as version 4\n`],
    );
    assert.equal(await succeed(['get', name]), 'canary2');
    await succeed(['rollback', name, '--version', '1']);
    assert.equal(await succeed(['get', name]), 'canary1');
    const table = await succeed(['history', name]);
    assert.match(
      table,
      /^VERSION +GENERATION +CHANGED +BY +BYTES +NOTE\n5 .* 7 +current, version 1 again\n4 .* version 2 again\n/,
    );
    assert.doesNotMatch(table, /canary/);
    const { versions } = (await json(['history', name])) as { versions: unknown[] };
    assert.equal(versions.length, 5);
    await fail(EXIT.notFound, ['rollback', name, '--version', '99']);
    await fail(EXIT.notFound, ['history', newName()]);
  });

  it('bring a whole set back to a generation', async () => {
    const set = await newSet();
    const { sets } = (await json(['list', set])) as { sets: { generation: number }[] };
    await succeed(['create', `cio_${set}_access_key`, 'AK2', '--replace']);
    await succeed(['create', `cio_${set}_secret_key`, 'SK2', '--replace']);
    await succeed(['rollback', set, '--generation', `${sets[0]?.generation}`]);
    assert.equal(await succeed(['get', `cio_${set}_access_key`]), 'AK');
    assert.equal(await succeed(['get', `cio_${set}_secret_key`]), 'SK');
  });
});

describe('cio credential status, lock, unlock and slot', () => {
  it('open the store by key file, passphrase and recovery code', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    const at = (stdin: string): CioOptions => ({ ...options, stdin });
    const told = async (...words: string[]): Promise<string> => (await credential(words, options)).stderr;
    await succeed(['create', 'kept', 'value'], options);
    assert.match(await succeed(['status'], options), /^Store +open$/m);
    const status = (await json(['status'], options)) as Record<string, unknown>;
    assert.deepEqual([status['locked'], status['administrator'], status['socket']], [false, true, own.socketPath]);

    // The key file, which needs nobody.
    assert.equal(await told('lock'), 'Succeed: Lock: The store is locked\n');
    assert.match(await succeed(['status'], options), /^Store +locked; open it with cio credential unlock$/m);
    assert.match(await fail(EXIT.locked, ['get', 'kept'], options), /cio credential unlock/);
    await fail(EXIT.locked, ['list'], options);
    assert.match(await told('unlock'), /^Succeed: Unlock: The store is open, by slot [0-9a-f]+\n$/);

    // A passphrase and a recovery code, and then no key file any more.
    await fail(EXIT.invalid, ['slot', 'add', 'passphrase'], at(''));
    const { slot } = (await json(['slot', 'add', 'passphrase', '--label', 'mine'], at('open sesame\n'))) as {
      slot: { id: string };
    };
    const recovery = await credential(['slot', 'add', 'recovery'], options);
    assert.match(recovery.stderr, /shown this once/);
    const code = recovery.stdout.trim();
    assert.match(code, /^[A-Z0-9-]{20,}$/i);
    const { slots } = (await json(['slot', 'list'], options)) as {
      slots: { id: string; kind: string; label?: string }[];
    };
    assert.deepEqual(slots.map(({ kind }) => kind).toSorted(), ['keyfile', 'passphrase', 'recovery']);
    assert.equal(slots.find(({ id }) => id === slot.id)?.label, 'mine');
    assert.match(await succeed(['slot', 'ls'], options), /^ID +KIND +CREATED +LABEL$/m);
    const keyfile = slots.find(({ kind }) => kind === 'keyfile')?.id ?? '';
    await fail(EXIT.usage, ['slot', 'remove', keyfile], options);
    await succeed(['slot', 'remove', keyfile, '--yes'], options);
    await fail(EXIT.notFound, ['slot', 'remove', keyfile, '--yes'], options);

    await succeed(['lock'], options);
    await fail(EXIT.invalid, ['unlock'], at(''));
    await fail(EXIT.accessDenied, ['unlock'], at('wrong\n'));
    await succeed(['unlock'], at('open sesame\n'));
    await succeed(['lock'], options);
    assert.match(await fail(EXIT.accessDenied, ['unlock', '--recovery'], at(`${code.slice(0, -1)}\n`)), /code/);
    await succeed(['unlock', '--recovery'], at(`${code}\n`));
    assert.equal(await succeed(['get', 'kept'], options), 'value');

    // The last one stays.
    await succeed(['slot', 'remove', slot.id, '--yes'], options);
    const last = ((await json(['slot', 'list'], options)) as { slots: { id: string }[] }).slots[0]?.id ?? '';
    assert.match(await fail(EXIT.failed, ['slot', 'remove', last, '--yes'], options), /last slot/);
    await own.stop();
  });

  it('adds a key file by a relative path', async (t) => {
    const own = await startDaemon(t);
    const cwd = temporaryDirectory(t);
    await succeed(['slot', 'add', 'keyfile', 'second.key'], { socketPath: own.socketPath, cwd });
    assert.equal(fs.statSync(path.join(cwd, 'second.key')).mode & 0o777, 0o600);
    await fail(EXIT.invalid, ['slot', 'add', 'systemd', 'no name'], { socketPath: own.socketPath });
    await own.stop();
  });
});

describe('cio credential fsck and rekey', () => {
  it('find nothing wrong with a good store', async () => {
    const { stdout, stderr } = await credential(['fsck']);
    assert.equal(stdout, '');
    assert.match(stderr, /^Succeed: Check store: \d+ records, all of them good\n$/);
    assert.match((await credential(['rekey'])).stderr, /^Succeed: Rekey: \d+ records sealed with data key 2\n$/);
    const reply = (await json(['fsck'])) as { problems: unknown[]; repaired: boolean };
    assert.deepEqual(reply.problems, []);
  });

  it('tell by exit code 10 what is damaged, and repair it', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    for (const name of ['first', 'second', 'third']) await succeed(['create', name, `value of ${name}`], options);
    await own.stop();
    await damageOneRow(path.join(own.stateDirectory, 'credentials.db'));
    const again = await startDaemon(t, own);
    const { code, stdout, stderr } = await credential(['fsck'], options);
    assert.equal(code, EXIT.damaged, stderr);
    assert.match(stdout, /^PROBLEM +NAME +VERSION +DETAIL\n/);
    assert.match(stderr, /--repair/);
    assert.equal((await credential(['fsck', '--json'], options)).code, EXIT.damaged);
    await fail(EXIT.usage, ['fsck', '--repair'], options);
    await credential(['fsck', '--repair', '--yes'], options);
    assert.equal((await credential(['fsck'], options)).code, EXIT.done);
    await again.stop();
  });
});

describe('cio credential exec', () => {
  it('runs a command with the variables of the set on top of its own, and nothing of it in its arguments', async () => {
    const set = await newSet({ secret_key: 'canarykey', backup_password: 'it\'s $HOME\n`x` "y"' });
    const script =
      'printf "%s|" "$RESTIC_REPOSITORY" "$AWS_SECRET_ACCESS_KEY" "$RESTIC_PASSWORD" "$MINE" "${AWS_PROFILE-none}" "$@"; tr "\\0" " " < /proc/$$/cmdline';
    const stdout = await succeed(['exec', set, '--', 'sh', '-c', script, 'sh', '--json', 'a b', ''], {
      env: { MINE: 'mine', AWS_PROFILE: 'other', AWS_SESSION_TOKEN: 'stale' },
    });
    const [variables = '', commandLine = ''] = stdout.split('||');
    assert.equal(variables, `${REPOSITORY}|canarykey|it's $HOME\n\`x\` "y"|mine|none|--json|a b`);
    assert.doesNotMatch(commandLine, /canary/);
  });

  it('becomes the command: same process, standard streams as they were, no signal ignored', async () => {
    const set = await newSet();
    const script =
      'cat; echo " $$"; ls -l /proc/self/fd; grep -E "Sig(Ign|Blk)" /proc/self/status; echo out; echo err >&2';
    const words = ['credential', 'exec', set, '--', 'sh', '-c', script];
    const result = await runProcess(['/bin/sh', '-c', 'echo $$; exec "$@"', 'sh', ...built, ...words], {
      env: { PATH: '/usr/bin:/bin', CIO_CREDENTIAL_SOCKET: daemon.socketPath },
      input: 'in',
    });
    const out = result.stdout.toString();
    const [before, inside] = [/^(\d+)\n/.exec(out)?.[1], /in (\d+)\n/.exec(out)?.[1]];
    assert.ok(before !== undefined && before === inside, out);
    assert.doesNotMatch(out, /socket:.*socket:.*socket:.*socket:/s);
    assert.match(out, /SigBlk:\t0+\n/);
    assert.match(out, /SigIgn:\t0+\n/);
    assert.match(out, /out\n$/);
    assert.equal(result.stderr, 'err\n');
  });

  it('ends as the command ends', async () => {
    const set = await newSet();
    const { code } = await credential(['exec', set, '--', 'sh', '-c', 'exit 42']);
    assert.equal(code, 42);
    const { signal } = await credential(['exec', set, '--', 'sh', '-c', 'kill -TERM $$']);
    assert.equal(signal, 'SIGTERM');
    const piped = await credential(['exec', set, '--', 'bash', '-c', 'yes | head -1; echo ${PIPESTATUS[0]}']);
    assert.equal(piped.stdout, 'y\n141\n');
  });

  it('tells a command that is not there by 127, one that cannot be executed by 126', async (t) => {
    const set = await newSet();
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, 'echo as a script\n', { mode: 0o644 });
    await fail(127, ['exec', set, '--', 'no-such-command']);
    await fail(127, ['exec', set, '--', './no-such-command']);
    await fail(126, ['exec', set, '--', file]);
    await fail(126, ['exec', set, '--', directory]);
    // Before any secret is asked for: nothing is told of the set.
    await fail(127, ['exec', 'no-such-set', '--', 'no-such-command']);
    fs.chmodSync(file, 0o755);
    assert.equal(await succeed(['exec', set, '--', file]), 'as a script\n');
    fs.writeFileSync(file, '#!/nonexistent/interpreter\n');
    const { code, stderr } = await credential(['exec', set, '--', file]);
    assert.equal(code, 127, stderr);
    await fail(
      126,
      ['exec', set, '--', 'echo', 'x'.repeat(131_072 - 20)].map((word) => word),
    );
  });

  it('tells exactly what a set misses', async () => {
    await succeed(['create', 'cio_minio_alt_access_key', 'AK', '--replace']);
    const told = await fail(EXIT.notFound, ['exec', 'minio_alt', '--', 'true']);
    assert.match(told, /set minio_alt is not complete: it misses /);
    assert.match(told, /Hint: cio credential create cio_minio_alt_/);
    await fail(EXIT.notFound, ['exec', 'no-such-set', '--', 'true']);
  });

  it('names the credential that no variable can hold', async () => {
    for (const password of ['nul\0byte', Buffer.from([0xff, 0xfe]).toString('latin1')]) {
      const set = await newSet();
      const name = `cio_${set}_backup_password`;
      await succeed(['create', name, '--replace'], { stdin: Buffer.from(password, 'latin1') });
      for (const words of [
        ['exec', set, '--', 'true'],
        ['env', set],
      ]) {
        assert.ok((await fail(EXIT.invalid, words)).includes(`the value of ${name} is not valid`));
      }
    }
  });

  it('refuses to pass on an argument that is not UTF-8, which would become another', async () => {
    const set = await newSet();
    const shell = `exec ${built.map(quoted).join(' ')} credential exec ${set} -- echo "$(printf 'caf\\351')"`;
    const { code, stderr } = await runProcess(['/bin/sh', '-c', shell], {
      env: { PATH: '/usr/bin:/bin', CIO_CREDENTIAL_SOCKET: daemon.socketPath },
    });
    assert.equal(code, EXIT.usage);
    assert.match(stderr, /word 2 of the command is not UTF-8/);
    assert.equal(await succeed(['exec', set, '--', 'echo', 'caf\ufffd']), 'caf\ufffd\n');
  });

  it('finds a command whose name has a = in it', async (t) => {
    const set = await newSet();
    const file = path.join(temporaryDirectory(t), 'a=b');
    fs.writeFileSync(file, '#!/bin/sh\necho "ran $1"\n', { mode: 0o755 });
    assert.equal(await succeed(['exec', set, '--', file, 'it']), 'ran it\n');
  });
});

describe('cio credential env', () => {
  it('prints what a shell turns into the same values', async () => {
    const password = 'a\'b"c $HOME `id` \\ \n ü';
    const set = await newSet({ backup_password: password });
    const lines = await succeed(['env', set], { env: { AWS_PROFILE: 'other' } });
    assert.match(lines, /^unset AWS_PROFILE$/m);
    assert.ok(!lines.includes('unset AWS_SESSION_TOKEN'));
    const { stdout } = await runProcess(
      ['/bin/sh', '-c', `eval "$1"; printf %s "$RESTIC_PASSWORD|$AWS_PROFILE"`, 'sh', lines],
      {
        env: { PATH: '/usr/bin:/bin', AWS_PROFILE: 'other' },
      },
    );
    assert.equal(stdout.toString(), `${password}|`);
  });

  it('gives an object, with null for what has to go', async () => {
    const set = await newSet();
    const variables = (await json(['env', set])) as Record<string, string | null>;
    assert.equal(variables['RESTIC_REPOSITORY'], REPOSITORY);
    assert.equal(variables['AWS_SECRET_ACCESS_KEY'], 'SK');
    assert.equal(variables['AWS_SESSION_TOKEN'], null);
    assert.equal(variables[`RCLONE_CONFIG_${set.toUpperCase()}_TYPE`], 's3');
  });
});

describe('cio credential completion', () => {
  const line = (shellLine: string): string => `cio() { ${built.map(quoted).join(' ')} "$@"; }; ${shellLine}`;

  it('completes in bash', { skip: skipUnless(command('bash')) }, async () => {
    const set = await newSet();
    const complete = async (...words: string[]): Promise<string[]> => {
      const script = line(
        'eval "$(cio credential completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cio; printf "%s\\n" "${COMPREPLY[@]}"',
      );
      const { stdout } = await runProcess(['/bin/bash', '-c', script, 'bash', ...words], {
        env: { PATH: '/usr/bin:/bin', CIO_CREDENTIAL_SOCKET: daemon.socketPath },
      });
      return stdout.toString().trim().split('\n');
    };
    assert.deepEqual(await complete('cio', 'credential', 'hi'), ['history']);
    assert.deepEqual(await complete('cio', 'credential', 'get', `cio_${set}_a`), [`cio_${set}_access_key`]);
    assert.deepEqual(await complete('cio', 'credential', 'env', set.slice(0, -2)), [set]);
    assert.deepEqual(await complete('cio', 'credential', 'create', '--from-file', '/etc/passw'), ['/etc/passwd']);
    assert.ok((await complete('cio', 'credential', 'exec', set, '--', 'bas')).includes('basename'));
  });

  for (const shell of ['zsh', 'fish'] as const) {
    it(`is understood by ${shell}`, { skip: skipUnless(command(shell)) }, async () => {
      const { code, stderr } = await runProcess([shell, '-n', '/dev/stdin'], {
        input: await succeed(['completion', shell]),
      });
      assert.deepEqual([code, stderr], [0, '']);
    });
  }

  it('is silent, and quick, where the daemon is away', async () => {
    const { code, stdout, stderr } = await credential(['__complete', '--', '3', 'cio', 'credential', 'get', ''], {
      socketPath: '/nonexistent/socket',
    });
    assert.deepEqual([code, stdout, stderr], [EXIT.done, 'words\n', '']);
  });
});

describe('cio without a daemon', () => {
  it('says so by exit code 7, and how to start one', async (t) => {
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
      assert.match(await fail(EXIT.notReachable, words, nowhere), /no daemon: .*\nHint: start the daemon/);
    }
    const { stdout } = await credential(['list', '--json'], nowhere);
    const { error } = JSON.parse(stdout) as { error: Record<string, unknown> };
    assert.deepEqual(
      [error['code'], error['reason'], error['socket']],
      ['NotReachable', 'not_found', nowhere.socketPath],
    );
  });

  it('says what is wrong with the socket', async (t) => {
    const stale = await Peer.listen(t, () => undefined);
    stale.stopListening();
    assert.match(await fail(EXIT.notReachable, ['list'], { socketPath: stale.path }), /nobody listens/);
    assert.match(
      await fail(EXIT.notReachable, ['list'], { socketPath: `/tmp/${'x'.repeat(110)}` }),
      /115 bytes, more than 107/,
    );
    const mute = await Peer.listen(t, (socket) => void socket.end());
    assert.match(await fail(EXIT.notReachable, ['list'], { socketPath: mute.path }), /ended the connection/);
    const other = await Peer.listen(t, (socket) => void socket.write('220 smtp ready\r\n\0'));
    assert.match(await fail(EXIT.failed, ['list'], { socketPath: other.path }), /does not answer as the daemon does/);
  });

  it("does not trust another user's folder that the environment names", { skip: skipUnless(root) }, async (t) => {
    const runtime = temporaryDirectory(t);
    const trap = path.join(runtime, 'cio-credentiald');
    fs.mkdirSync(trap);
    fs.chownSync(trap, 1234, 1234);
    const told = await credential(['create', 'x', 'canary'], {
      socketPath: '',
      env: { XDG_RUNTIME_DIR: runtime, CIO_CREDENTIAL_SOCKET: '' },
    });
    assert.equal(told.code, EXIT.notReachable);
    assert.match(told.stderr, /is not yours alone/);
  });

  it('finds the daemon of the folder that the environment names', async () => {
    const env = { CIO_RUNTIME_DIR: daemon.runtimeDirectory, CIO_CREDENTIAL_SOCKET: '' };
    const { code } = await cio(['credential', 'status'], { command: built, env });
    assert.equal(code, EXIT.done);
  });
});

describe('cio for other users', { skip: skipUnless(root, command('setpriv', 'util-linux')) }, () => {
  it('shows each his own, and refuses what is for administrators', async (t) => {
    const open = temporaryDirectory(t);
    fs.chmodSync(open, 0o755);
    fs.copyFileSync(path.join(folder, 'cio.cjs'), path.join(open, 'cio.cjs'));
    fs.copyFileSync(process.execPath, path.join(open, 'node'), fs.constants.COPYFILE_FICLONE);
    fs.chmodSync(path.join(open, 'node'), 0o755);
    const ann: CioOptions = {
      as: { uid: 54321, gid: 54321 },
      command: [path.join(open, 'node'), path.join(open, 'cio.cjs')],
    };
    const [name, granted] = [newName(), newName()];
    await succeed(['create', name, "ann's"], ann);
    await fail(EXIT.notFound, ['get', name]);
    assert.equal(await succeed(['get', name, '--owner', '54321']), "ann's");
    await succeed(['create', granted, 'shared']);
    await fail(EXIT.notFound, ['get', granted], ann);
    await succeed(['grant', granted, '--user', '54321']);
    assert.equal(await succeed(['get', granted], ann), 'shared');
    const { credentials } = (await json(['list'], ann)) as { credentials: { name: string }[] };
    assert.deepEqual(credentials.map((each) => each.name).toSorted(), [name, granted].toSorted());
    for (const words of [
      ['lock'],
      ['rekey'],
      ['fsck'],
      ['slot', 'list'],
      ['slot', 'add', 'recovery'],
      ['list', '--all-owners'],
    ]) {
      assert.match(await fail(EXIT.accessDenied, words, ann), /no right to administer/);
    }
    assert.match(await succeed(['status'], ann), /You are +a user/);
    await fail(EXIT.accessDenied, ['get', name, '--owner', '0'], ann).catch(() =>
      fail(EXIT.notFound, ['get', name, '--owner', '0'], ann),
    );
  });
});

describe('cio on a terminal', { skip: skipUnless(TERMINAL) }, () => {
  const cioLine = (...words: string[]): string => [...built, 'credential', ...words].map(quoted).join(' ');
  const env = (): Record<string, string> => ({ CIO_CREDENTIAL_SOCKET: daemon.socketPath, NO_COLOR: '1' });
  /** The command, then what became of the terminal. */
  const withState = (line: string): string => `${line}; echo "exit $?"; stty -a`;
  const assertRestored = (screen: string): void => {
    const state = screen.slice(screen.lastIndexOf('exit '));
    for (const setting of ['echo', 'icanon', 'isig', 'icrnl']) assert.match(state, new RegExp(`[ \\n]${setting}[ ;]`));
  };

  it('asks for a secret twice, and does not show it', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, withState(cioLine('create', name)), env());
    await program.shows(`Value of ${name}: `);
    program.type('canary ü🔑\r');
    await program.shows('Repeat: ');
    program.type('canary ü🔑\r');
    assert.equal(await program.exit(), 0);
    assert.match(program.screen, /Succeed: Create credential: Credential .* saved/);
    assert.doesNotMatch(program.screen, /canary|🔑|ü/);
    assertRestored(program.screen);
    assert.equal(await succeed(['get', name]), 'canary ü🔑');
  });

  it('takes both entries from one paste', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, cioLine('create', name), env());
    await program.shows('Value of');
    program.type('canary\ncanary\n');
    assert.equal(await program.exit(), 0);
    assert.equal(await succeed(['get', name]), 'canary');
    assert.doesNotMatch(program.screen, /canary/);
  });

  it('asks by the label of the field, and shows what is no secret', async (t) => {
    const set = `s3_${randomBytes(6).toString('hex')}`;
    const secret = new TerminalProgram(t, cioLine('create', `cio_${set}_secret_key`), env());
    await secret.shows(`Secret key (cio_${set}_secret_key): `);
    secret.type('\u0003');
    assert.equal(await secret.exit(), 130);
    const visible = new TerminalProgram(t, cioLine('create', `cio_${set}_access_key`), env());
    await visible.shows(`Access key (cio_${set}_access_key): `);
    visible.type('AKIX\u007fA');
    await visible.shows('AKIA');
    visible.type('\r');
    assert.equal(await visible.exit(), 0);
    assert.equal(await succeed(['get', `cio_${set}_access_key`]), 'AKIA');
  });

  it('asks for the name too', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, cioLine('create'), env());
    await program.shows('Name of the credential: ');
    program.type(`${name}\r`);
    await program.shows(`Value of ${name}: `);
    program.type('v\r');
    await program.shows('Repeat: ');
    program.type('v\r');
    assert.equal(await program.exit(), 0);
  });

  it('refuses two entries that differ, an empty one, and Ctrl-D', async (t) => {
    for (const [keys, told] of [
      [['one\r', 'two\r'], /the two entries differ/],
      [['\r'], /nothing was entered/],
      [['\u0004'], /nothing was entered/],
    ] as const) {
      const program = new TerminalProgram(t, withState(cioLine('create', newName())), env());
      await program.shows('Value of');
      program.type(keys[0]);
      if (keys[1] !== undefined) {
        await program.shows('Repeat: ');
        program.type(keys[1]);
      }
      await program.exit();
      assert.match(program.screen, told);
      assert.match(program.screen, /exit 8/);
      assertRestored(program.screen);
    }
  });

  it('ends by Ctrl-C with exit code 130, and brings the echo back', async (t) => {
    const program = new TerminalProgram(t, withState(cioLine('create', newName())), env());
    await program.shows('Value of');
    program.type('canary\u0003');
    await program.exit();
    assert.match(program.screen, /exit 130/);
    assert.doesNotMatch(program.screen, /canary/);
    assertRestored(program.screen);
  });

  for (const [signal, exit] of [
    ['TERM', 143],
    ['HUP', 129],
    ['QUIT', 131],
    ['INT', 130],
  ] as const) {
    it(`brings the echo back when SIG${signal} ends it`, async (t) => {
      const inner = `echo "pid $$."; exec ${cioLine('create', newName())}`;
      const program = new TerminalProgram(t, withState(`trap : ${signal}; ulimit -c 0; sh -c ${quoted(inner)}`), env());
      const pid = /\d+/.exec(await program.shows(/pid \d+\./))?.[0];
      await program.shows('Value of');
      process.kill(Number(pid), `SIG${signal}`);
      await program.exit();
      assert.match(program.screen, new RegExp(`exit ${exit}`));
      assertRestored(program.screen);
    });
  }

  it('tells of a name that exists before it asks for a value', async (t) => {
    const name = newName();
    await succeed(['create', name, 'v']);
    const program = new TerminalProgram(t, cioLine('create', name), env());
    assert.equal(await program.exit(), EXIT.alreadyExists);
    assert.doesNotMatch(program.screen, /Value of/);
  });

  it('asks on the terminal also where standard error goes elsewhere', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, `${cioLine('create', name)} 2>/dev/null`, env());
    await program.shows('Value of');
    program.type('v\rv\r');
    assert.equal(await program.exit(), 0);
  });

  it('warns of a secret on the command line', async (t) => {
    const warned = new TerminalProgram(t, cioLine('create', newName(), 'v'), env());
    assert.equal(await warned.exit(), 0);
    assert.match(warned.screen, /Warning: other users of this host can see/);
    const set = `s3_${randomBytes(6).toString('hex')}`;
    const silent = new TerminalProgram(t, cioLine('create', `cio_${set}_access_key`, 'AK'), env());
    assert.equal(await silent.exit(), 0);
    assert.doesNotMatch(silent.screen, /Warning/);
  });

  it('shows what will be removed, and asks', async (t) => {
    const set = await newSet();
    for (const [answer, exit] of [
      ['\r', 1],
      ['n\r', 1],
      ['yess\r', 1],
      ['\u0004', 1],
      ['\u0003', 130],
      ['y\r', 0],
    ] as const) {
      const program = new TerminalProgram(t, cioLine('remove', set), env());
      await program.shows('Remove these 4 credentials? [y/N] ');
      assert.match(program.screen, new RegExp(`cio_${set}_secret_key`));
      program.type(answer);
      assert.equal(await program.exit(), exit, program.screen);
    }
    await fail(EXIT.notFound, ['get', `cio_${set}_secret_key`]);
  });

  it('does not remove what came after it asked', async (t) => {
    const set = await newSet();
    const program = new TerminalProgram(t, cioLine('remove', set), env());
    await program.shows('[y/N] ');
    await succeed(['create', `cio_${set}_region`, 'eu-central-1']);
    program.type('y\r');
    assert.equal(await program.exit(), EXIT.failed);
    assert.match(program.screen, /changed in the meantime/);
    assert.equal(await succeed(['get', `cio_${set}_region`]), 'eu-central-1');
  });

  it('ends a value with a newline', async (t) => {
    const name = newName();
    await succeed(['create', name], { stdin: 'value' });
    const program = new TerminalProgram(t, `${cioLine('get', name)}; echo next`, env());
    await program.exit();
    assert.equal(program.screen, 'value\r\nnext\r\n');
  });

  it('fits the table to the width, and shortens values only', async (t) => {
    const set = await newSet({ backup_repo: `s3:https://host.example/${'b'.repeat(200)}` });
    const program = new TerminalProgram(t, `stty cols 100; ${cioLine('list', set)}`, env());
    await program.exit();
    const lines = program.screen.split('\r\n');
    assert.ok(lines.every((line) => line.length <= 100));
    assert.ok(lines.some((line) => line.includes(`cio_${set}_backup_repo`) && line.endsWith('…')));
  });

  it('uses colour on a terminal unless NO_COLOR is set', async (t) => {
    const coloured = new TerminalProgram(t, cioLine('get', newName()), { ...env(), NO_COLOR: '' });
    await coloured.exit();
    assert.match(coloured.screen, /\u001b\[31mFailed:\u001b\[0m/);
    const plain = new TerminalProgram(t, cioLine('get', newName()), env());
    await plain.exit();
    assert.doesNotMatch(plain.screen, /\u001b/);
  });

  it('asks for a passphrase to unlock, once, without showing it', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    await succeed(['slot', 'add', 'passphrase'], { ...options, stdin: 'canary phrase\n' });
    const { slots } = (await json(['slot', 'list'], options)) as { slots: { id: string; kind: string }[] };
    await succeed(['slot', 'remove', slots.find(({ kind }) => kind === 'keyfile')?.id ?? '', '-y'], options);
    await succeed(['lock'], options);
    const program = new TerminalProgram(t, cioLine('unlock'), { ...env(), CIO_CREDENTIAL_SOCKET: own.socketPath });
    await program.shows('Passphrase: ');
    program.type('canary phrase\r');
    assert.equal(await program.exit(), 0, program.screen);
    assert.doesNotMatch(program.screen, /canary|Repeat/);
    await own.stop();
  });

  it('leaves the terminal to the command of exec', async (t) => {
    const set = await newSet();
    const program = new TerminalProgram(
      t,
      cioLine('exec', set, '--', 'sh', '-c', 'stty -a; read line; echo "got $line"'),
      env(),
    );
    await program.shows('icanon');
    program.type('typed\n');
    await program.shows('got typed');
    assert.equal(await program.exit(), 0);
  });

  it('gives the command of exec one Ctrl-C, not two', async (t) => {
    const set = await newSet();
    const script = 'trap "echo interrupted" INT; echo ready; while :; do read line && break; done; echo "got $line"';
    const program = new TerminalProgram(t, cioLine('exec', set, '--', 'bash', '-c', script), env());
    await program.shows('ready');
    program.type('\u0003');
    await program.shows('interrupted');
    program.type('typed\n');
    await program.shows('got typed');
    await program.exit();
    assert.equal(program.screen.split('interrupted').length, 2);
  });
});

describe('the built cio', () => {
  it('runs from its code cache, and also without one or with one of another program', async (t) => {
    const copy = temporaryDirectory(t);
    for (const file of fs.readdirSync(folder)) fs.copyFileSync(path.join(folder, file), path.join(copy, file));
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

/** Changes one byte in the middle of a row. */
async function damageOneRow(file: string): Promise<void> {
  const { default: Database } = await import('better-sqlite3');
  const database = new Database(file);
  const row = database.prepare('SELECT kind, tag, body FROM record ORDER BY length(body) DESC LIMIT 1').get() as {
    kind: number;
    tag: Buffer;
    body: Buffer;
  };
  row.body[row.body.length >> 1] = (row.body[row.body.length >> 1] ?? 0) ^ 1;
  database.prepare('UPDATE record SET body = ? WHERE kind = ? AND tag = ?').run(row.body, row.kind, row.tag);
  database.close();
}
