import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { connect } from '../../../client/index.ts';
import { EXIT } from '../../../src/errors.ts';
import { MINIO_SERVER, startMinioServer } from '../../support/minio-server.ts';
import { skipUnless } from '../../support/requirements.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness } from './harness.ts';

const REGION = 'eu-test-1';

interface Report {
  readonly uuid: string;
  readonly findings: readonly { check: string; state: string; reason?: string }[];
  readonly health: { readonly state: string };
}

describe('cio credentials create against MinIO', { skip: skipUnless(...MINIO_SERVER) }, async () => {
  if (skipUnless(...MINIO_SERVER) !== false) return;
  const harness = await Harness.start({ after });
  const server = await startMinioServer({ after }, REGION);
  const host = new URL(server.endpoint).host;

  const newName = (): string => `px-${randomBytes(4).toString('hex')}`;
  const keys = ['--provider', 's3', '--s3-access-key', server.accessKey, '--s3-secret-key', server.secretKey];
  const place = ['--s3-endpoint', host, '--s3-disable-ssl', '--s3-region', REGION];

  const valuesOf = async (set: string): Promise<Record<string, string>> => {
    await using client = await connect({ socket: harness.daemon.socketPath });
    const { members } = await client.call('GetSet', { set, allowIncomplete: true });
    return Object.fromEntries(members.map(({ field, value }) => [field, value ?? '']));
  };
  const assertAbsent = async (set: string): Promise<void> => {
    assert.deepEqual(await harness.json(['list', set]), { credentials: [], sets: [], damaged: 0 });
  };

  it('makes a bucket if none is given, proves the keys with it, and stores both', async () => {
    const name = newName();
    const { code, stdout, stderr } = await harness.runPortworx(['create', ...keys, ...place, name]);
    assert.equal(code, EXIT.done, stderr);
    assert.match(stdout, /^Credentials created successfully, UUID:[0-9a-f-]{36}\n$/);
    const { bucket } = await valuesOf(name);
    assert.ok(bucket !== undefined);
    const { sets } = (await harness.json(['list', name])) as { sets: Report[] };
    assert.equal(sets[0]?.health.state, 'passed');
    assert.match(await harness.succeed(['list', name]), /proved just now/);
    const validated = await harness.runPortworx(['validate', sets[0]?.uuid ?? '']);
    assert.deepEqual([validated.code, validated.stderr], [EXIT.done, 'Credential validated successfully\n']);
    // The next set finds the bucket.
    const again = newName();
    const report = (await harness.json(['create', ...keys, ...place, '--bucket', bucket, again])) as Report;
    for (const check of ['key', 'bucket', 'list', 'write', 'read_back', 'delete']) {
      assert.equal(report.findings.find((finding) => finding.check === check)?.state, 'passed', check);
    }
    assert.equal((await valuesOf(again))['bucket'], bucket);
  });

  it('stores nothing that failed, and leaves the stored set unchanged', async () => {
    const name = newName();
    const wrong = ['--provider', 's3', '--s3-access-key', server.accessKey, '--s3-secret-key', 'canary-wrong-secret'];
    const told = await harness.fail(EXIT.validationFailed, ['create', ...wrong, ...place, name]);
    assert.match(told, /nothing was stored: .*secret key does not belong/);
    assert.doesNotMatch(told, /canary/);
    await assertAbsent(name);
    const lost = ['create', ...keys, ...place, '--bucket', 'not-there', name];
    assert.match(await harness.fail(EXIT.validationFailed, lost), /there is no bucket not-there/);
    await assertAbsent(name);
    await harness.succeed(['create', ...keys, ...place, name]);
    const before = await valuesOf(name);
    await harness.fail(EXIT.validationFailed, ['create', '--s3-secret-key', 'wrong-secret', '--replace', name]);
    assert.deepEqual(await valuesOf(name), before);
    await harness.succeed(['create', '--s3-storage-class', 'STANDARD', '--replace', name]);
    assert.deepEqual(await valuesOf(name), { ...before, storage_class: 'STANDARD' });
  });

  it('names mistakes that it recognises in the values along with the failure', async () => {
    const swapped = ['--s3-access-key', 'aB3+'.repeat(10), '--s3-secret-key', 'AKIAYHD623GGZX7VDFMJ'];
    const { code, stderr } = await harness.run(['create', '--provider', 's3', ...swapped, ...place, newName()]);
    assert.equal(code, EXIT.validationFailed, stderr);
    assert.match(stderr, /nothing was stored: .*does not know the access key\n/);
    assert.match(stderr, /^Warning: .*access key and secret key look swapped/m);
  });

  it('lists a set that was stored untried as unproved until it is validated', async () => {
    const name = newName();
    const stderr = (await harness.run(['create', ...keys, ...place, '--bucket', 'not-there', '--no-validate', name]))
      .stderr;
    assert.match(stderr, /Note: it was not tried out; to do so: cio credential validate/);
    const { sets } = (await harness.json(['list', name])) as { sets: Report[] };
    assert.equal(sets[0]?.health.state, 'unproved');
    assert.match(await harness.succeed(['list', name]), /lacks backup_repo, backup_password; unproved$/m);
    await harness.run(['validate', name]);
    assert.match(await harness.succeed(['list', name]), /failed just now: bucket \(no such bucket\)/);
    const status = await harness.succeed(['status']);
    assert.match(status, /^Validation +.*; 1 set fails$/m);
    assert.match(status, new RegExp(`^  ${name}: failed just now: bucket \\(no such bucket\\)$`, 'm'));
    await harness.succeed(['remove', name, '--yes']);
  });

  it(
    'proves the values of the environment, and shows each check on a terminal',
    { skip: skipUnless(TERMINAL) },
    async (t) => {
      const [bucketOwner, name] = [newName(), newName()];
      await harness.succeed(['create', ...keys, ...place, bucketOwner]);
      const { bucket } = await valuesOf(bucketOwner);
      const line = [...harness.built, 'credential', 'create', '--provider', 's3', '--from-env', name]
        .map(quoted)
        .join(' ');
      const program = new TerminalProgram(t, line, {
        CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath,
        NO_COLOR: '1',
        AWS_ACCESS_KEY_ID: server.accessKey,
        AWS_SECRET_ACCESS_KEY: server.secretKey,
        AWS_DEFAULT_REGION: REGION,
        RESTIC_REPOSITORY: `s3:${server.endpoint}/${bucket}/x`,
        RESTIC_PASSWORD: 'canary pw',
      });
      assert.equal(await program.exit(), EXIT.done, program.screen);
      for (const line of [/✔ keys/, /✔ bucket/, /✔ delete/, /repository +there is no repository yet/]) {
        assert.match(program.screen, line);
      }
      assert.match(program.screen, new RegExp(`Succeed: Create credential: Set ${name} saved`));
      assert.doesNotMatch(program.screen, /canary/);
      assert.match(await harness.succeed(['list', name]), /ready, proved just now/);
    },
  );

  it('validates every given name, reports those that it cannot, and exits with the code of the first failure', async () => {
    const [good, bad, loose, absent] = [newName(), newName(), await harness.store('value'), newName()];
    await harness.succeed(['create', ...keys, ...place, good]);
    await harness.succeed(['create', ...keys, ...place, '--bucket', 'not-there', '--no-validate', bad]);
    const words = [absent, bad, loose, good];
    const { code, stdout, stderr } = await harness.run(['validate', ...words]);
    assert.equal(code, EXIT.notFound, stderr);
    const told = stderr.split('\n').filter((line) => /^(?:Failed|Succeed): /.test(line));
    assert.match(told[0] ?? '', new RegExp(`^Failed: Validate credential: ${absent} not found$`));
    assert.match(told[1] ?? '', new RegExp(`^Failed: Validate credential: ${bad}: bucket: `));
    assert.match(told[2] ?? '', new RegExp(`^Failed: .*: ${loose.slice(0, 8)}… is not part of a set, `));
    assert.match(told[3] ?? '', new RegExp(`^Succeed: .*: ${good} works: `));
    assert.match(stdout, new RegExp(`^${good}$`, 'm'));
    for (const [first, exit] of [
      [bad, EXIT.validationFailed],
      [loose, EXIT.invalid],
      [good, EXIT.notFound],
    ] as const) {
      assert.equal((await harness.run(['validate', first, absent])).code, exit);
    }
    const { code: ofJson, stdout: json, stderr: silent } = await harness.run(['validate', ...words, '--json']);
    const document = JSON.parse(json) as {
      readonly sets: readonly { readonly set: string; readonly failed: boolean }[];
      readonly errors: readonly { readonly code: string; readonly name?: string }[];
    };
    assert.deepEqual([ofJson, silent], [EXIT.notFound, '']);
    assert.deepEqual(
      document.sets.map(({ set, failed }) => [set, failed]),
      [
        [bad, true],
        [good, false],
      ],
    );
    assert.deepEqual(
      document.errors.map(({ code: each, name }) => [each, name]),
      [
        ['NotFound', absent],
        ['NotInForm', loose],
      ],
    );
    // A set and its members are validated once, at the place of the first of them.
    const { sets } = JSON.parse(
      (await harness.run(['validate', good, `cio_${good}_access_key`, good, '--json'])).stdout,
    ) as typeof document;
    assert.deepEqual(
      sets.map(({ set }) => set),
      [good],
    );
    // A single name fails like that of any other command.
    assert.match(await harness.fail(EXIT.notFound, ['validate', absent]), /not found/);
    assert.match(await harness.fail(EXIT.invalid, ['validate', loose]), /not part of a set/);
  });
});
