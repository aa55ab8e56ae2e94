import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { connect } from '../../../client/index.ts';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { run as runProcess } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted } from '../terminal.ts';
import { GONE, Harness, newName, newSetName } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential create', () => {
  it('reports the canonical name under which it stored an alternative spelling', async () => {
    const { stderr } = await harness.run([
      'create',
      'cio_alt_minio_restic_repo',
      's3:http://192.168.1.100:9001/bucket',
    ]);
    assert.equal(stderr, 'Succeed: Create credential: Credential cio_minio_alt_backup_repo saved\n');
    assert.equal(await harness.succeed(['get', 'cio_minio_alt_restic_repo']), 's3:http://192.168.1.100:9001/bucket');
  });

  it('notes that a credential named like a set or a part of one is not one', async () => {
    for (const [name, note] of [
      ['aws_site9', /^Note: aws_site9 is a single credential, not a set; create without a value makes the set\.$/m],
      ['minio', /^Note: minio is a single credential, not a set; /m],
      ['aws_backup_repo', /^Note: aws_backup_repo is not part of a set; cio_aws_backup_repo would be\.$/m],
      ['cio_aws_site9', /^Note: cio_aws_site9 is not part of a set: it does not end in a known field \(/m],
    ] as const) {
      const { code, stderr } = await harness.run(['create', name, '-'], { stdin: 'value' });
      assert.equal(code, EXIT.done);
      assert.match(stderr, note);
    }
    for (const name of ['cio_aws_backup_repo', newName(), 'awsome_site']) {
      assert.doesNotMatch((await harness.run(['create', name, '-'], { stdin: 's3:https://h/b' })).stderr, /Note/);
    }
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
      await harness.succeed(['create', name, ...options], { stdin });
      assert.equal(await harness.succeed(['get', name]), value);
    }
  });

  it('keeps every byte, and accepts a value of the largest size', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    for (const value of [bytes, randomBytes(VALUE_BYTES_MAX), Buffer.alloc(VALUE_BYTES_MAX, 1), Buffer.from('ü🔑\0')]) {
      const name = newName();
      await harness.succeed(['create', name], { stdin: value });
      const { stdoutBytes } = await harness.run(['get', name]);
      assert.ok(value.equals(stdoutBytes), `${value.length} bytes`);
    }
  });

  it('reads a file', async (t) => {
    const file = path.join(temporaryDirectory(t), 'value');
    fs.writeFileSync(file, 'from a file\n');
    const name = newName();
    await harness.succeed(['create', name, '--from-file', file]);
    assert.equal(await harness.succeed(['get', name]), 'from a file');
    await harness.fail(EXIT.failed, ['create', newName(), '--from-file', `${file}x`]);
    await harness.fail(EXIT.failed, ['create', newName(), '--from-file', path.dirname(file)]);
  });

  it('refuses an empty value from any source', async (t) => {
    const empty = path.join(temporaryDirectory(t), 'empty');
    fs.writeFileSync(empty, '\n');
    await harness.fail(EXIT.invalid, ['create', newName(), '']);
    await harness.fail(EXIT.invalid, ['create', newName()], { stdin: '' });
    await harness.fail(EXIT.invalid, ['create', newName()], { stdin: '\n' });
    await harness.fail(EXIT.invalid, ['create', newName()], { stdin: { closed: true } });
    await harness.fail(EXIT.invalid, ['create', newName(), '--from-file', empty]);
  });

  it('refuses a value that is too large, without reading all of it', async () => {
    await harness.fail(EXIT.invalid, ['create', newName()], { stdin: Buffer.alloc(VALUE_BYTES_MAX + 1, 'x') });
    await harness.fail(EXIT.invalid, ['create', newName(), '--from-file', '/dev/zero']);
  });

  it('refuses an invalid name, and repeats only its valid part', async () => {
    for (const name of ['UPPER', 'ünïcode', 'two words', 'new\nline', '../path', 'x'.repeat(129), '-', '_x']) {
      await harness.fail(EXIT.invalid, ['create', '--', name, 'v']);
    }
    await harness.fail(EXIT.invalid, ['create', '0191e1f0-7c3a-7000-8000-00000000000a', 'v']);
    const told = await harness.fail(EXIT.invalid, ['create', 'abcSECRETabc', 'v']);
    assert.ok(told.includes('abc') && !told.includes('SECRET'));
    assert.doesNotMatch(await harness.fail(EXIT.invalid, ['create', '--', 'a\u001b[31m', 'v']), /\u001b/);
  });

  it('refuses a value that is not valid for its field, without repeating it', async () => {
    for (const [name, value] of [
      ['cio_aws_backup_repo', 'https://canary.example/bucket'],
      ['cio_aws_access_key', 'canary with spaces'],
      ['cio_offsite_provider', 'canary'],
    ] as const) {
      const told = await harness.fail(EXIT.invalid, ['create', name, value]);
      assert.ok(told.includes(name) && !told.includes('canary'), told);
    }
  });

  it('leaves an existing value unchanged without --replace', async () => {
    const name = newName();
    await harness.succeed(['create', name, 'old']);
    const told = await harness.fail(EXIT.alreadyExists, ['create', name, 'new']);
    assert.match(told, /already exists\nHint: --replace/);
    assert.equal(await harness.succeed(['get', name]), 'old');
    await harness.succeed(['create', name, 'new', '--replace']);
    assert.equal(await harness.succeed(['get', name]), 'new');
  });

  it('reports what it did as JSON', async () => {
    const name = newName();
    const { generation, saved } = (await harness.json(['create', name, 'v'])) as { generation: number; saved: unknown };
    assert.ok(generation > 0);
    assert.deepEqual(saved, [{ name, version: 1, created: true }]);
  });

  it('refuses an argument that is not UTF-8, which Node would change', async () => {
    const shell = `exec ${harness.built.map(quoted).join(' ')} credential create ${newName()} "$(printf 'caf\\351')"`;
    const { code, stderr } = await runProcess(['/bin/sh', '-c', shell], {
      env: harness.environment,
    });
    assert.equal(code, EXIT.usage);
    assert.match(stderr, /not UTF-8/);
  });
});

describe('cio credential get', () => {
  it('prints the bytes with nothing added', async () => {
    const name = await harness.store('value');
    const { stdout, stderr } = await harness.run(['get', name]);
    assert.deepEqual([stdout, stderr], ['value', '']);
  });

  it('prints older versions', async () => {
    const name = await harness.store('one');
    await harness.store('two', name);
    assert.equal(await harness.succeed(['get', name, '--version', '1']), 'one');
    assert.equal(await harness.succeed(['get', name, '--version=2']), 'two');
    await harness.fail(EXIT.notFound, ['get', name, '--version', '3']);
  });

  it('prints JSON, with text as text and other bytes in base64', async () => {
    const [text, bytes] = [await harness.store('ü'), await harness.store(Buffer.from([0xff]))];
    const reply = (await harness.json(['get', text])) as Record<string, unknown>;
    assert.deepEqual([reply['name'], reply['value'], reply['version']], [text, 'ü', 1]);
    assert.deepEqual(((await harness.json(['get', bytes])) as Record<string, unknown>)['data'], '/w==');
  });

  it('reports a name that does not exist, as text and as JSON', async () => {
    assert.match(
      await harness.fail(EXIT.notFound, ['get', 'cio_aws_nowhere']),
      /credential cio_aws_nowhere not found\nHint: cio credential list/,
    );
    const { code, stdout, stderr } = await harness.run(['get', 'cio_aws_nowhere', '--json']);
    assert.deepEqual([code, stderr], [EXIT.notFound, '']);
    assert.deepEqual(JSON.parse(stdout), {
      error: {
        code: 'NotFound',
        name: 'cio_aws_nowhere',
        message: 'credential cio_aws_nowhere not found',
        hint: 'cio credential list shows what is stored',
      },
    });
  });

  it('does not repeat a secret that was typed in place of the name', async () => {
    const told = await harness.fail(EXIT.notFound, ['get', 'wjalrxutnfemik7mdengbpxrficyexamplekey']);
    assert.ok(!told.includes('wjalrxutnfemik7'));
  });

  it('ends quietly if its reader has gone, and fails if its output cannot be written', async () => {
    const name = await harness.store(Buffer.alloc(VALUE_BYTES_MAX, 'x'));
    const shell = (line: string): Promise<{ code: number | null; stderr: string }> =>
      runProcess(['/bin/bash', '--norc', '-c', line, 'sh', ...harness.built, 'credential', 'get', name], {
        env: harness.environment,
      });
    const gone = await shell('set -o pipefail; "$@" | head -c 10');
    assert.deepEqual([gone.code, gone.stderr], [EXIT.done, '']);
    const asJson = await shell('"$@" --json > /dev/full');
    assert.match(asJson.stderr, /^Failed: Get credential: cannot write to standard output/);
    const full = await shell('"$@" > /dev/full');
    assert.equal(full.code, EXIT.failed);
    assert.match(full.stderr, /cannot write to standard output: the disk is full \(ENOSPC\)/);
  });
});

describe('cio credential validate', () => {
  it('exits as for a failed set even if its reader has gone', async () => {
    const set = await harness.storeSet({ backup_repo: 's3:http://127.0.0.1:1/backup-123' });
    for (const options of [[], ['--json']]) {
      const { code, stdout } = await harness.runAfter(GONE, ['validate', set, ...options]);
      assert.deepEqual([code, stdout], [EXIT.validationFailed, '']);
    }
  });
});

describe('cio credential list', () => {
  it('shows the fields that a set lacks', async () => {
    await harness.store('AK', 'cio_minio_access_key');
    assert.match(
      await harness.succeed(['list', 'minio']),
      /^minio .* lacks backup_repo, secret_key, backup_password$/m,
    );
    await harness.succeed(['remove', 'minio', '--yes']);
  });

  it('accepts names, sets, UUIDs and patterns', async () => {
    const set = await harness.storeSet();
    const { sets, credentials } = (await harness.json(['list', set])) as {
      sets: { set: string; uuid: string; ready: boolean }[];
      credentials: { name: string }[];
    };
    assert.equal(credentials.length, 4);
    assert.deepEqual([sets.length, sets[0]?.set, sets[0]?.ready], [1, set, true]);
    const namesOf = async (...patterns: string[]): Promise<string[]> =>
      ((await harness.json(['list', ...patterns])) as { credentials: { name: string }[] }).credentials.map(
        ({ name }) => name,
      );
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

  it('says on standard error that nothing matches', async () => {
    const { code, stdout, stderr } = await harness.run(['list', 'nothing-like-it']);
    assert.deepEqual([code, stdout, stderr], [EXIT.done, '', 'Nothing matches.\n']);
  });

  it('never shows a secret', async () => {
    const set = await harness.storeSet({
      secret_key: 'canarysecret',
      backup_password: 'canarypassword',
      session_token: 'canarytoken',
    });
    await harness.store('canaryfree');
    for (const words of [['list'], ['list', '--json'], ['list', set], ['status'], ['status', '--json']]) {
      assert.doesNotMatch(await harness.succeed(words), /canary/);
    }
  });

  it('sorts by name, and assembles a list of several replies', async () => {
    await using client = await connect({ socket: harness.daemon.socketPath });
    const prefix = newName();
    const names = Array.from({ length: 700 }, (_, index) => `${prefix}-${index}`);
    await client.call('Create', { credentials: names.map((name) => ({ name, value: 'v' })) });
    const { credentials } = (await harness.json(['list', `${prefix}-*`])) as { credentials: { name: string }[] };
    assert.deepEqual(
      credentials.map(({ name }) => name),
      names.toSorted(),
    );
  });
});

describe('cio credential remove', () => {
  it('removes all of several credentials or none', async () => {
    const [one, two] = [await harness.store('v'), await harness.store('v')];
    await harness.fail(EXIT.notFound, ['remove', one, newName(), two, '--yes']);
    assert.equal(await harness.succeed(['get', one]), 'v');
    const { removed } = (await harness.json(['remove', one, two, one, '--yes'])) as { removed: string[] };
    assert.deepEqual(removed.toSorted(), [one, two].toSorted());
    await harness.fail(EXIT.notFound, ['get', one]);
  });

  it('removes a set by its name or UUID', async () => {
    for (const by of ['set', 'uuid'] as const) {
      const set = await harness.storeSet();
      const { sets } = (await harness.json(['list', set])) as { sets: { set: string; uuid: string }[] };
      await harness.succeed(['remove', sets[0]?.[by] ?? '', '--yes']);
      assert.equal(await harness.succeed(['list', set]), '');
    }
  });

  it('does not ask without a terminal, and names --yes', async () => {
    const name = await harness.store('v');
    assert.match(await harness.fail(EXIT.usage, ['remove', name], { stdin: 'y\n' }), /give --yes/);
    assert.equal(await harness.succeed(['get', name]), 'v');
  });
});

describe('cio credential grant and revoke', () => {
  it('grant to units, users and groups, show the grants, and revoke them', async () => {
    const name = await harness.store('v');
    const grantsOf = async (): Promise<unknown> =>
      ((await harness.json(['list', name])) as { credentials: { grants: unknown }[] }).credentials[0]?.grants;
    const { stderr } = await harness.run([
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
    assert.match(await harness.succeed(['revoke', name, '--user', 'nobody', '--json']), /"revoked":1/);
    await harness.succeed(['revoke', name, '--unit', 'restic@.service', '--user', '12', '--group', '7']);
    assert.deepEqual(await grantsOf(), []);
    assert.match((await harness.run(['revoke', name, '--user', '12'])).stderr, /was not granted/);
  });

  it('refuse a credential that does not exist, and an invalid unit name', async () => {
    await harness.fail(EXIT.notFound, ['grant', newName(), '--user', '12']);
    const name = await harness.store('v');
    const message = await harness.fail(EXIT.invalid, ['grant', name, '--unit', 'no unit']);
    assert.match(message, /: the unit has no valid unit name\nHint: .*restic\.service/);
  });
});

describe('cio credential history and rollback', () => {
  it('refer to the history for a version that is not kept', async () => {
    const name = await harness.store('1');
    const history = 'cio credential history shows which';
    const absent = await harness.fail(EXIT.notFound, ['get', name, '--version', '9']);
    assert.ok(
      absent.endsWith(`: version 9 of ${name.slice(0, 8)}… not found\nHint: ${history} versions are kept\n`),
      absent,
    );
    for (const [which, options] of [
      ['earlier', []],
      ['such', ['--version', '9']],
    ] as const) {
      const refused = await harness.fail(EXIT.notFound, ['rollback', name, ...options]);
      assert.ok(
        refused.endsWith(`: ${name.slice(0, 8)}…: no ${which} version is kept\nHint: ${history} versions are kept\n`),
        refused,
      );
    }
    await harness.fail(EXIT.notFound, ['rollback', newName()]);
  });

  it("take a set's name as such, and say what a set needs instead", async () => {
    const set = await harness.storeSet();
    const refused = await harness.fail(EXIT.usage, ['rollback', set, '--version', '1']);
    assert.match(refused, /: a set goes back to a generation, not a version\nHint: use --generation instead of/);
    const told = await harness.fail(EXIT.usage, ['history', set]);
    assert.ok(told.includes(`: ${set} is a set\n`), told);
    const member = /: cio credential history (cio_\S+)\n$/.exec(told)?.[1] ?? '';
    assert.match(await harness.succeed(['history', member]), /current/);
    await harness.fail(EXIT.notFound, ['history', 'no-such-set']);
  });

  it("take a set's name as that of the owner's set, not the caller's", async () => {
    const [owner, set, shared] = ['54329', newSetName(), await harness.storeSet()];
    await harness.succeed(['create', `cio_${set}_region`, 'eu-west-1', '--owner', owner]);
    for (const command of ['get', 'history']) {
      const told = await harness.fail(EXIT.usage, [command, set, '--owner', owner]);
      assert.ok(told.includes(`: ${set} is a set\n`), told);
      await harness.fail(EXIT.notFound, [command, shared, '--owner', owner]);
    }
  });

  it('show the versions, and restore one without printing it', async () => {
    const name = newName();
    for (const value of ['canary1', 'canary2', 'canary3']) await harness.store(value, name);
    const { stdout, stderr } = await harness.run(['rollback', name]);
    assert.deepEqual(
      [stdout, stderr],
      ['', `Succeed: Rollback credential: Credential ${name} restored as version 4\n`],
    );
    assert.equal(await harness.succeed(['get', name]), 'canary2');
    await harness.succeed(['rollback', name, '--version', '1']);
    assert.equal(await harness.succeed(['get', name]), 'canary1');
    const table = await harness.succeed(['history', name]);
    assert.match(
      table,
      /^VERSION +GENERATION +CHANGED +BY +BYTES +NOTE\n5 .* 7 +current, version 1 again\n4 .* version 2 again\n/,
    );
    assert.doesNotMatch(table, /canary/);
    const { versions } = (await harness.json(['history', name])) as { versions: unknown[] };
    assert.equal(versions.length, 5);
    await harness.fail(EXIT.notFound, ['rollback', name, '--version', '99']);
    await harness.fail(EXIT.notFound, ['history', newName()]);
  });

  it('restore a whole set to a generation', async () => {
    const set = await harness.storeSet();
    const { sets } = (await harness.json(['list', set])) as { sets: { generation: number }[] };
    await harness.store('AK2', `cio_${set}_access_key`);
    await harness.store('SK2', `cio_${set}_secret_key`);
    await harness.succeed(['rollback', set, '--generation', `${sets[0]?.generation}`]);
    assert.equal(await harness.succeed(['get', `cio_${set}_access_key`]), 'AK');
    assert.equal(await harness.succeed(['get', `cio_${set}_secret_key`]), 'SK');
  });
});
