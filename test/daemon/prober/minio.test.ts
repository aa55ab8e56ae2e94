import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { after, before, describe, it } from 'node:test';

import { AssumeRoleProvider } from 'minio/dist/esm/AssumeRoleProvider.mjs';

import { CHECKS, type Finding } from '../../../src/validation.ts';
import { MINIO_SERVER, startMinioServer, type MinioServer } from '../../support/minio-server.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { checksIn, failureIn, findingFor, findingsOf, jobOf, suiteScope } from './harness.ts';
import { Buckets, makeRepository, RIGHTS, type RepositoryFiles, type Right } from './s3-buckets.ts';

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

  /** Keys that last a quarter of an hour, and may do only this. */
  const session = async (rights: readonly Right[]): Promise<Record<string, string>> => {
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
        it(`names ${missing} where it is missing`, async () => {
          const findings = await find(await session(RIGHTS.filter((right) => right !== missing)));
          assert.deepEqual(
            failureIn(findings),
            { state: 'failed', reason: 'access_denied', ...expected },
            JSON.stringify(findings),
          );
        });
      }

      it('tells a wrong secret from an unknown key', async () => {
        const wrong = failureIn(await find({ secret_key: 'something else' }));
        assert.deepEqual(wrong, { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' });
        const unknown = failureIn(await find({ access_key: 'NOBODYACCESSKEY00001' }));
        assert.deepEqual(unknown, { check: 'key', state: 'failed', reason: 'unknown_access_key', field: 'access_key' });
      });

      it('tells keys that come with a token which is not theirs', async () => {
        const { session_token = '', ...keys } = await session(RIGHTS);
        const findings = await find({ ...keys, session_token: session_token.slice(0, -8) });
        assert.deepEqual(failureIn(findings), {
          check: 'key',
          state: 'failed',
          reason: 'key_rejected',
          field: 'session_token',
        });
      });

      it('names the region where the set has another one, and takes it where the set has none', async () => {
        const wrong = { check: 'region', state: 'failed', reason: 'wrong_region', field: 'region', subject: REGION };
        assert.deepEqual(failureIn(await find({ region: 'eu-central-1' })), wrong);
        const { region: _region, ...unsaid } = values();
        const findings = await findingsOf(jobOf(unsaid, { provider }));
        assert.deepEqual(findingFor(findings, 'region'), { ...wrong, state: 'warning' });
        assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
        assert.equal(findingFor(findings, 'password').state, 'passed');
      });

      it('names a bucket that is not there', async () => {
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

      it('leaves no version behind where it may delete them, and names what a lock keeps', async () => {
        const versions = await buckets.make({ keeps: 'versions' });
        const findings = await find({ backup_repo: buckets.repository(versions) });
        assert.equal(findingFor(findings, 'delete').state, 'passed');
        assert.deepEqual(await buckets.namesIn(versions), []);
        const few = await find({ ...(await session(RIGHTS)), backup_repo: buckets.repository(versions) });
        const left = new Set(await buckets.namesIn(versions));
        assert.deepEqual([findingFor(few, 'delete').state, findingFor(few, 'delete').subject], ['warning', ...left]);

        const locked = await buckets.make({ keeps: 'locks' });
        const kept = await find({ backup_repo: buckets.repository(locked) });
        const { state, reason, subject = '' } = findingFor(kept, 'delete');
        assert.deepEqual([state, reason], ['warning', 'leftover_object'], JSON.stringify(kept));
        assert.ok((await buckets.namesIn(locked)).includes(subject));
      });

      it('needs no right to write for a restore', async () => {
        const rights = await session(['s3:GetObject', 's3:ListBucket']);
        const findings = await find(rights, true);
        assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
        assert.equal(findingFor(findings, 'password').state, 'passed');
      });

      it('tells plain HTTP to a port of TLS', async () => {
        const findings = await find({ backup_repo: buckets.repository(bucket).replace('https', 'http') });
        assert.equal(failureIn(findings)?.reason, 'unexpected_answer');
      });
    });
  }
});
