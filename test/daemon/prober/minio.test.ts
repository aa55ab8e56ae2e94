import assert from 'node:assert/strict';
import https, { Agent } from 'node:https';
import { after, before, describe, it } from 'node:test';

import { AssumeRoleProvider } from 'minio/dist/esm/AssumeRoleProvider.mjs';

import { CHECKS, type Finding, type ProbeJob } from '../../../src/validation.ts';
import { MINIO_SERVER, startMinioServer, type MinioServer } from '../../support/minio-server.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { startHttp, type StubServer } from './stub-server.ts';
import { checksIn, failureIn, findingFor, findingsOf, jobOf, suiteScope } from './harness.ts';
import { Buckets, makeRepository, RIGHTS, type RepositoryFiles, type Right } from './s3-buckets.ts';

type Values = Readonly<Record<string, string>>;

const REGION = 'eu-central-9';
const PASSWORD = 'the password of the repository';
const PROBED = CHECKS.filter((check) => check !== 'shape');

const SKIP = skipUnless(...MINIO_SERVER, command('restic'), command('openssl'));

describe('probe() against MinIO over TLS', { skip: SKIP }, () => {
  const scope = suiteScope(after);
  let authority: Authority;
  let server: MinioServer;
  let buckets: Buckets;
  let bucket: string;
  let files: RepositoryFiles;

  before(async () => {
    authority = await makeAuthority(scope);
    server = await startMinioServer(scope, REGION, await authority.sign('IP:127.0.0.1'));
    buckets = new Buckets(server.endpoint, server, REGION, authority.certificate);
    files = await makeRepository(scope, PASSWORD);
    bucket = await buckets.make();
    await buckets.putRepository(bucket, files);
  });

  const values = (rest: Readonly<Record<string, string>> = {}): Record<string, string> => ({
    backup_repo: buckets.repository(bucket),
    access_key: server.accessKey,
    secret_key: server.secretKey,
    backup_password: PASSWORD,
    region: REGION,
    endpoint_ca: authority.certificate,
    ...rest,
  });

  /** Returns keys that last 15 minutes and have only these rights. */
  const session = async (
    rights: readonly (Right | 's3:CreateBucket' | 's3:DeleteBucket')[],
  ): Promise<Record<string, string>> => {
    const Statement = { Effect: 'Allow', Action: rights, Resource: ['arn:aws:s3:::*'] };
    const credentials = await new AssumeRoleProvider({
      stsEndpoint: server.endpoint,
      accessKey: server.accessKey,
      secretKey: server.secretKey,
      region: REGION,
      durationSeconds: 900,
      policy: JSON.stringify({ Version: '2012-10-17', Statement: [Statement] }),
      transportAgent: new Agent({ ca: authority.certificate }),
    }).getCredentials();
    return {
      access_key: credentials.getAccessKey(),
      secret_key: credentials.getSecretKey(),
      session_token: credentials.getSessionToken() ?? '',
    };
  };

  for (const provider of ['minio', 's3'] as const) {
    describe(`provider ${provider}`, () => {
      const find = (rest?: Readonly<Record<string, string>>, restoreOnly = false): Promise<Finding[]> =>
        findingsOf(jobOf(values(rest), { provider, restoreOnly }));

      it('passes every check of a good set, and leaves nothing behind', async () => {
        const before = await buckets.namesIn(bucket);
        assert.deepEqual(checksIn(await find(), 'passed'), PROBED);
        assert.deepEqual(await buckets.namesIn(bucket), before);
      });

      it('passes with the five rights of a backup, and a session token', async () => {
        const findings = await find(await session(RIGHTS));
        assert.deepEqual(checksIn(findings, 'passed'), PROBED, JSON.stringify(findings));
      });

      const without: readonly (readonly [Right, Partial<Finding>])[] = [
        ['s3:PutObject', { check: 'write', subject: 's3:PutObject' }],
        ['s3:GetObject', { check: 'read_back', subject: 's3:GetObject' }],
        ['s3:DeleteObject', { check: 'delete', subject: 's3:DeleteObject' }],
        ['s3:ListBucket', { check: 'list', subject: 's3:ListBucket' }],
      ];
      for (const [missing, expected] of without) {
        it(`names ${missing} if it is missing`, async () => {
          const findings = await find(await session(RIGHTS.filter((right) => right !== missing)));
          assert.deepEqual(
            failureIn(findings),
            { state: 'failed', reason: 'access_denied', ...expected },
            JSON.stringify(findings),
          );
        });
      }

      it('distinguishes a wrong secret key from an unknown access key', async () => {
        const wrong = failureIn(await find({ secret_key: 'something else' }));
        assert.deepEqual(wrong, { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' });
        const unknown = failureIn(await find({ access_key: 'NOBODYACCESSKEY00001' }));
        assert.deepEqual(unknown, { check: 'key', state: 'failed', reason: 'unknown_access_key', field: 'access_key' });
      });

      it('reports keys with a wrong session token', async () => {
        const { session_token = '', ...keys } = await session(RIGHTS);
        const findings = await find({ ...keys, session_token: session_token.slice(0, -8) });
        assert.deepEqual(failureIn(findings), {
          check: 'key',
          state: 'failed',
          reason: 'key_rejected',
          field: 'session_token',
        });
      });

      it('reports a wrong region of the set, and finds the region if the set has none', async () => {
        const wrong = { check: 'region', state: 'failed', reason: 'wrong_region', field: 'region', subject: REGION };
        assert.deepEqual(failureIn(await find({ region: 'eu-central-1' })), wrong);
        const { region: _region, ...unsaid } = values();
        const findings = await findingsOf(jobOf(unsaid, { provider }));
        assert.deepEqual(findingFor(findings, 'region'), { ...wrong, state: 'warning' });
        assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
        assert.equal(findingFor(findings, 'password').state, 'passed');
      });

      it('reports a missing bucket', async () => {
        const findings = await find({ backup_repo: buckets.repository('nobody-made-it') });
        const expected = {
          check: 'bucket',
          state: 'failed',
          reason: 'no_such_bucket',
          field: 'backup_repo',
          subject: 'nobody-made-it',
        };
        assert.deepEqual(failureIn(findings), expected);
      });

      const makes = (own: Values, rest: Partial<ProbeJob> = {}): Promise<Finding[]> =>
        findingsOf(jobOf(values(own), { provider, makeBucket: true, ...rest }));
      const named = (suffix: string): string => `made-${provider}-${process.pid}-${suffix}`;
      const madeOf = (subject: string): Finding => ({
        check: 'bucket',
        state: 'passed',
        reason: 'bucket_made',
        subject,
      });

      it('makes a missing bucket in the region of the set, but not with restoreOnly', async () => {
        const name = named('good');
        const repository = { backup_repo: buckets.repository(name) };
        assert.equal(failureIn(await makes(repository, { restoreOnly: true }))?.reason, 'no_such_bucket');
        const findings = await makes(repository);
        assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
        assert.deepEqual(findingFor(findings, 'bucket'), madeOf(name));
        assert.deepEqual(findingFor(findings, 'region'), { check: 'region', state: 'passed', subject: REGION });
        assert.equal(findingFor(findings, 'repository').reason, 'no_repository');
        assert.deepEqual(await buckets.namesIn(name), []);
        assert.deepEqual(findingFor(await makes(repository), 'bucket'), { check: 'bucket', state: 'passed' });
      });

      it('names the missing right to make a bucket', async () => {
        const findings = await makes({ ...(await session(RIGHTS)), backup_repo: buckets.repository(named('denied')) });
        const expected = { check: 'bucket', state: 'failed', reason: 'access_denied', subject: 's3:CreateBucket' };
        assert.deepEqual(failureIn(findings), expected, JSON.stringify(findings));
      });

      it('deletes the bucket again if a later check fails, and reports it if it may not', async () => {
        const few = ['s3:CreateBucket', 's3:ListBucket', 's3:GetObject'] as const;
        const name = named('broken');
        const own = { ...(await session([...few, 's3:DeleteBucket'])), backup_repo: buckets.repository(name) };
        const findings = await makes(own);
        assert.deepEqual(findingFor(findings, 'bucket'), madeOf(name));
        assert.equal(failureIn(findings)?.check, 'write');
        await assert.rejects(buckets.namesIn(name), { name: 'NoSuchBucket' });
        const left = await makes({ ...own, ...(await session(few)) });
        const about = left.filter(({ check }) => check === 'bucket');
        const leftover = { check: 'bucket', state: 'warning', reason: 'leftover_bucket', subject: name };
        assert.deepEqual(about, [madeOf(name), leftover]);
        assert.deepEqual(await buckets.namesIn(name), []);
      });

      it('tries as much as possible without a repository, without its password, and without a bucket', async () => {
        const place = { backup_repo: '', endpoint: `${server.endpoint},https://127.0.0.1:1`, bucket, prefix: 'a/b' };
        const { backup_password: _password, ...rest } = values(place);
        const findings = await findingsOf(jobOf({ ...rest, backup_password: '' }, { provider }));
        assert.deepEqual(checksIn(findings, 'passed'), PROBED.slice(0, -2), JSON.stringify(findings));
        const missing = { state: 'skipped', reason: 'missing_field', field: 'backup_repo', subject: 'backup_repo' };
        assert.deepEqual(findings.slice(-2), [
          { check: 'repository', ...missing },
          { check: 'password', ...missing },
        ]);
        assert.deepEqual(await buckets.namesIn(bucket, 'a/'), []);
        const open = await find({ backup_password: '' });
        assert.equal(findingFor(open, 'repository').state, 'passed');
        assert.deepEqual(findingFor(open, 'password').field, 'backup_password');
        const keys = await find({ ...place, bucket: '' });
        assert.deepEqual(checksIn(keys, 'passed'), ['resolve', 'connect', 'tls', 'clock', 'key', 'region']);
        for (const check of PROBED.slice(6, 11)) assert.equal(findingFor(keys, check).field, 'bucket');
        const gone = await find({ ...place, bucket: 'nobody-made-it' });
        assert.deepEqual([failureIn(gone)?.reason, failureIn(gone)?.field], ['no_such_bucket', 'bucket']);
        const wrong = await find({ ...place, bucket: '', secret_key: 'something else' });
        assert.equal(failureIn(wrong)?.reason, 'wrong_secret_key');
      });

      it('leaves no version if it may delete versions, and reports what a lock keeps', async () => {
        const versions = await buckets.make({ versioning: 'enabled' });
        const findings = await find({ backup_repo: buckets.repository(versions) });
        assert.equal(findingFor(findings, 'delete').state, 'passed');
        assert.deepEqual(await buckets.namesIn(versions), []);
        const few = await find({ ...(await session(RIGHTS)), backup_repo: buckets.repository(versions) });
        const left = new Set(await buckets.namesIn(versions));
        assert.deepEqual([findingFor(few, 'delete').state, findingFor(few, 'delete').subject], ['warning', ...left]);

        const locked = await buckets.make({ versioning: 'locked' });
        const kept = await find({ backup_repo: buckets.repository(locked) });
        const { state, reason, subject = '' } = findingFor(kept, 'delete');
        assert.deepEqual([state, reason], ['warning', 'leftover_object'], JSON.stringify(kept));
        assert.ok((await buckets.namesIn(locked)).includes(subject));
      });

      it('leaves no delete marker in a bucket whose versioning is suspended, or reports it', async () => {
        const once = await buckets.make({ versioning: 'suspended' });
        const values = { backup_repo: buckets.repository(once) };
        const findings = await find(values);
        assert.equal(findingFor(findings, 'delete').state, 'passed', JSON.stringify(findings));
        assert.deepEqual(await buckets.namesIn(once), []);
        const few = findingFor(await find({ ...(await session(RIGHTS)), ...values }), 'delete');
        assert.deepEqual([few.state, [few.subject]], ['warning', await buckets.namesIn(once)]);
      });

      it('recognizes the server behind a proxy that names itself', async (t) => {
        const once = await buckets.make({ versioning: 'suspended' });
        const proxy = await startReverseProxy(t, server.endpoint, authority);
        const findings = await find({ backup_repo: `s3:https://${proxy.authority}/${once}` });
        assert.equal(findingFor(findings, 'delete').state, 'passed', JSON.stringify(findings));
        assert.deepEqual(await buckets.namesIn(once), []);
      });

      it('reports a storage class or encryption that the server does not offer', async () => {
        for (const [field, value, rest] of [
          ['storage_class', 'STANDARD_IA', {}],
          ['sse', 'AES256', {}],
          ['sse', 'aws:kms', {}],
          ['sse', 'AES256', { storage_class: 'STANDARD' }],
          // The server answers with a mere InvalidArgument.
          ['sse', 'nobodys', { storage_class: 'STANDARD' }],
        ] as const) {
          const before = await buckets.namesIn(bucket);
          const failure = failureIn(await find({ ...rest, [field]: value }));
          assert.deepEqual(await buckets.namesIn(bucket), before);
          assert.deepEqual(failure && { ...failure, ms: 0 }, {
            check: 'write',
            state: 'failed',
            reason: 'not_supported',
            field,
            subject: value,
            ms: 0,
          });
        }
      });

      it('needs no right to write with restoreOnly', async () => {
        const rights = await session(['s3:GetObject', 's3:ListBucket']);
        const findings = await find(rights, true);
        assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
        assert.equal(findingFor(findings, 'password').state, 'passed');
      });

      it('reports plain HTTP to a TLS port', async () => {
        const findings = await find({ backup_repo: buckets.repository(bucket).replace('https', 'http') });
        assert.equal(failureIn(findings)?.reason, 'unexpected_answer');
      });
    });
  }
});

/** Passes everything on unchanged, but reports another server name, as nginx does. */
async function startReverseProxy(scope: Scope, endpoint: string, authority: Authority): Promise<StubServer> {
  const agent = new Agent({ ca: authority.certificate });
  scope.after(() => agent.destroy());
  return startHttp(
    scope,
    ({ method, url = '', headers }, response, body) => {
      const passed = https.request(`${endpoint}${url}`, { agent, method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, { ...answer.headers, server: 'nginx' });
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy()).end(body);
    },
    await authority.sign('IP:127.0.0.1'),
  );
}
