import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';

import { CHECKS, type Finding } from '../../../src/validation.ts';
import { skipUnless, command } from '../../support/requirements.ts';
import { S3_SERVER, startS3Server, type S3Server, type S3User } from '../../support/s3-server.ts';
import { checksIn, failureIn, findingFor, findingsOf, jobOf, suiteScope } from './harness.ts';
import { AN_HOUR_AHEAD, ProberChild } from './prober-child.ts';
import { Buckets, makeRepository, RIGHTS, type RepositoryFiles, type Right } from './s3-buckets.ts';

const OWNER: S3User = {
  name: 'owner',
  accessKey: 'OWNERACCESSKEY000001',
  secretKey: 'owner/secret+key/0000000000000000000001',
};
const GUEST: S3User = {
  name: 'guest',
  accessKey: 'GUESTACCESSKEY000001',
  secretKey: 'guest/secret+key/0000000000000000000001',
};
const SUSPENDED: S3User = {
  name: 'gone',
  accessKey: 'GONEACCESSKEY0000001',
  secretKey: 'gone/secret+key/00000000000000000000001',
};

/** Characters that libraries encode differently before they sign. */
const STRANGE_PREFIX = "hosts/a b+ä(1)!'*&=~%41;,:@$[]";

const PASSWORD = 'the password of the repository';
const PROBED = CHECKS.filter((check) => check !== 'shape');
/** The connection to it is not encrypted. */
const PASSED = PROBED.filter((check) => check !== 'tls');

describe('probe() against Ceph RGW', { skip: skipUnless(...S3_SERVER, command('restic')) }, () => {
  const scope = suiteScope(after);
  let server: S3Server;
  let buckets: Buckets;
  let files: RepositoryFiles;
  /** Has a repository at its root, and one below a prefix. */
  let bucket: string;

  before(async () => {
    server = await startS3Server(scope, [OWNER, GUEST, SUSPENDED]);
    buckets = new Buckets(server.endpoint, OWNER);
    bucket = await buckets.make();
    files = await makeRepository(scope, PASSWORD);
    await buckets.putRepository(bucket, files);
    await buckets.putRepository(bucket, files, STRANGE_PREFIX);
    await server.admin('user', 'suspend', '--uid', SUSPENDED.name);
  });

  const valuesOf = (user: S3User, repository = buckets.repository(bucket)): Record<string, string> => ({
    backup_repo: repository,
    access_key: user.accessKey,
    secret_key: user.secretKey,
    backup_password: PASSWORD,
  });

  /** Makes a bucket with a repository, in which the guest has these rights. */
  const guestBucket = async (
    rights: readonly Right[],
    versioning?: 'enabled' | 'suspended' | 'locked',
  ): Promise<string> => {
    const name = await buckets.make(versioning === undefined ? {} : { versioning });
    await buckets.putRepository(name, files);
    await buckets.allow(name, GUEST, rights);
    return name;
  };

  for (const provider of ['s3', 'minio'] as const) {
    describe(`provider ${provider}`, () => {
      const find = (values: Record<string, string>, restoreOnly = false): Promise<Finding[]> =>
        findingsOf(jobOf(values, { provider, restoreOnly }));

      it('passes every check with a valid set, in order, and leaves nothing behind', async () => {
        for (const prefix of ['', encodeURIComponent(STRANGE_PREFIX)]) {
          const repository = buckets.repository(bucket, prefix);
          const findings = await find(valuesOf(OWNER, repository));
          assert.deepEqual(
            findings.map(({ check }) => check),
            PROBED,
            JSON.stringify(findings),
          );
          assert.deepEqual(checksIn(findings, 'passed'), PASSED);
        }
        const names = await buckets.namesIn(bucket);
        assert.deepEqual(
          names.filter((name) => name.includes('.cio-')),
          [],
        );
      });

      it('makes a bucket, but not if it belongs to another user', async () => {
        const name = `rgw-made-${provider}-${process.pid}`;
        const own = valuesOf(GUEST, buckets.repository(name));
        const findings = await findingsOf(jobOf(own, { provider, makeBucket: true }));
        const made = { check: 'bucket', state: 'passed', reason: 'bucket_made', subject: name };
        assert.deepEqual(findingFor(findings, 'bucket'), made, JSON.stringify(findings));
        assert.equal(findingFor(findings, 'delete').state, 'passed');
        const taken = await findingsOf(
          jobOf({ ...own, backup_repo: buckets.repository(bucket) }, { provider, makeBucket: true }),
        );
        assert.deepEqual([failureIn(taken)?.check, failureIn(taken)?.reason], ['bucket', 'access_denied']);
      });

      it('distinguishes a wrong secret, an unknown key and a suspended user', async () => {
        const wrong = await find({ ...valuesOf(OWNER), secret_key: GUEST.secretKey });
        assert.deepEqual(failureIn(wrong), {
          check: 'key',
          state: 'failed',
          reason: 'wrong_secret_key',
          field: 'secret_key',
        });
        const unknown = await find({ ...valuesOf(OWNER), access_key: 'NOBODYACCESSKEY00001' });
        assert.deepEqual(failureIn(unknown), {
          check: 'key',
          state: 'failed',
          reason: 'unknown_access_key',
          field: 'access_key',
        });
        const suspended = await find(valuesOf(SUSPENDED));
        assert.deepEqual(failureIn(suspended), { check: 'key', state: 'failed', reason: 'user_suspended' });
        const skipped = findingFor(wrong, 'password');
        assert.deepEqual(skipped, { check: 'password', state: 'skipped', reason: 'earlier_failure', subject: 'key' });
        assert.deepEqual(checksIn(wrong, 'passed'), ['resolve', 'connect', 'clock']);
      });

      it('reports a clock that is off by an hour, because of which the server refuses signatures', async (t) => {
        const child = new ProberChild(t, {}, AN_HOUR_AHEAD);
        child.send(`${JSON.stringify(jobOf(valuesOf(OWNER), { provider }))}\0`);
        await child.ended;
        const { check, reason, subject } = failureIn(child.findings) ?? {};
        assert.deepEqual([check, reason], ['clock', 'clock_skewed'], child.stdout);
        assert.ok(Math.abs(Number(subject) - 3600) <= 2, subject);
      });

      it('reports a bucket that does not exist', async () => {
        const findings = await find(valuesOf(OWNER, buckets.repository('nobody-made-it')));
        const expected = {
          check: 'bucket',
          state: 'failed',
          reason: 'no_such_bucket',
          field: 'backup_repo',
          subject: 'nobody-made-it',
        };
        assert.deepEqual(failureIn(findings), expected);
        assert.equal(findingFor(findings, 'key').state, 'passed');
      });

      it('needs no more than the five rights of a backup', async () => {
        const name = await guestBucket(RIGHTS);
        const findings = await find(valuesOf(GUEST, buckets.repository(name)));
        assert.deepEqual(checksIn(findings, 'passed'), PASSED, JSON.stringify(findings));
        const foreign = await find(valuesOf(GUEST));
        const expected = {
          check: 'bucket',
          state: 'failed',
          reason: 'access_denied',
          field: 'backup_repo',
          subject: `s3:ListBucket on ${bucket}`,
        };
        assert.deepEqual(failureIn(foreign), expected);
      });

      const without: readonly (readonly [Right, Finding])[] = [
        ['s3:PutObject', { check: 'write', state: 'failed', reason: 'access_denied', subject: 's3:PutObject' }],
        // RGW lets all users read what they wrote themselves.
        ['s3:GetObject', { check: 'repository', state: 'failed', reason: 'access_denied', subject: 's3:GetObject' }],
        ['s3:DeleteObject', { check: 'delete', state: 'failed', reason: 'access_denied', subject: 's3:DeleteObject' }],
        ['s3:ListBucket', { check: 'list', state: 'failed', reason: 'access_denied', subject: 's3:ListBucket' }],
      ];
      for (const [missing, expected] of without) {
        it(`reports that ${missing} is missing`, async () => {
          const name = await guestBucket(RIGHTS.filter((right) => right !== missing));
          const findings = await find(valuesOf(GUEST, buckets.repository(name)));
          assert.deepEqual(failureIn(findings), expected, JSON.stringify(findings));
          const left = (await buckets.namesIn(name)).filter((object) => object.includes('.cio-'));
          const told = findings.filter(({ reason }) => reason === 'leftover_object').map(({ subject }) => subject);
          assert.deepEqual(left, told);
          assert.equal(left.length, missing === 's3:DeleteObject' ? 1 : 0);
        });
      }

      it('warns if it must not ask for the region, and does not ask if the set names it', async () => {
        const name = await guestBucket(RIGHTS.filter((right) => right !== 's3:GetBucketLocation'));
        const values = valuesOf(GUEST, buckets.repository(name));
        const expected = {
          check: 'region',
          state: 'warning',
          reason: 'access_denied',
          field: 'region',
          subject: 's3:GetBucketLocation',
        };
        assert.deepEqual(findingFor(await find(values), 'region'), expected);
        assert.equal(findingFor(await find({ ...values, region: 'us-east-1' }), 'region').state, 'passed');
      });

      it('reports what stays in a bucket with versioning if only the five rights are granted', async () => {
        const name = await guestBucket(RIGHTS, 'enabled');
        const findings = await find(valuesOf(GUEST, buckets.repository(name)));
        const left = [...new Set((await buckets.namesIn(name)).filter((object) => object.includes('.cio-')))];
        const expected = { check: 'delete', state: 'warning', reason: 'leftover_object', subject: left[0] };
        assert.deepEqual(findingFor(findings, 'delete'), expected);
        assert.equal(failureIn(findings), undefined);
      });

      it('leaves no version and no marker if it may delete them', async () => {
        const name = await guestBucket([...RIGHTS, 's3:DeleteObjectVersion'], 'enabled');
        for (const user of [OWNER, GUEST]) {
          const findings = await find(valuesOf(user, buckets.repository(name)));
          assert.equal(findingFor(findings, 'delete').state, 'passed', JSON.stringify(findings));
        }
        const names = await buckets.namesIn(name);
        assert.deepEqual(
          names.filter((object) => object.includes('.cio-')),
          [],
        );
      });

      it('leaves no marker in a bucket with suspended versioning, or reports it', async () => {
        const name = await buckets.make({ versioning: 'suspended' });
        const findings = await find(valuesOf(OWNER, buckets.repository(name)));
        assert.equal(findingFor(findings, 'delete').state, 'passed', JSON.stringify(findings));
        assert.deepEqual(await buckets.namesIn(name), []);

        const few = await guestBucket(RIGHTS, 'suspended');
        const { state, subject = '' } = findingFor(await find(valuesOf(GUEST, buckets.repository(few))), 'delete');
        assert.deepEqual([state, await buckets.namesIn(few, '.cio-')], ['warning', [subject]]);
      });

      it('reports which setting, storage_class or sse, the server does not offer', async () => {
        for (const [field, settings] of [
          ['storage_class', { storage_class: 'NOBODYS' }],
          ['storage_class', { storage_class: 'NOBODYS', sse: 'nobodys' }],
          ['sse', { sse: 'nobodys' }],
          ['sse', { sse: 'nobodys', storage_class: 'STANDARD' }],
        ] as const) {
          const before = await buckets.namesIn(bucket);
          const findings = await find({ ...valuesOf(OWNER), ...settings });
          assert.deepEqual([failureIn(findings)?.reason, failureIn(findings)?.field], ['not_supported', field]);
          assert.deepEqual(await buckets.namesIn(bucket), before);
        }
      });

      it('reports an object that a lock keeps', async () => {
        const name = await buckets.make({ versioning: 'locked' });
        const findings = await find(valuesOf(OWNER, buckets.repository(name)));
        const delete_ = findingFor(findings, 'delete');
        assert.deepEqual([delete_.state, delete_.reason], ['warning', 'leftover_object'], JSON.stringify(findings));
        assert.ok((await buckets.namesIn(name)).includes(delete_.subject ?? ''));
      });

      it('writes and deletes nothing for a restore, which passes with three rights', async () => {
        const name = await guestBucket(['s3:GetObject', 's3:ListBucket', 's3:GetBucketLocation']);
        const findings = await find(valuesOf(GUEST, buckets.repository(name)), true);
        for (const check of ['write', 'read_back', 'delete'] as const) {
          assert.deepEqual(findingFor(findings, check), { check, state: 'skipped', reason: 'restore_only' });
        }
        assert.equal(findingFor(findings, 'password').state, 'passed');
        assert.equal(failureIn(findings), undefined);
      });

      it('warns that there is no repository yet, and does not fail', async () => {
        const findings = await find(valuesOf(OWNER, buckets.repository(bucket, 'nothing/here')));
        assert.deepEqual(findingFor(findings, 'repository'), {
          check: 'repository',
          state: 'warning',
          reason: 'no_repository',
        });
        assert.deepEqual(findingFor(findings, 'password'), {
          check: 'password',
          state: 'skipped',
          reason: 'no_repository',
        });
        assert.equal(failureIn(findings), undefined);
      });

      it('distinguishes a wrong password from a repository without its config', async () => {
        const wrong = await find({ ...valuesOf(OWNER), backup_password: `${PASSWORD}.` });
        const expected = { check: 'password', state: 'failed', reason: 'wrong_password', field: 'backup_password' };
        assert.deepEqual(failureIn(wrong), expected);
        const surrounded = await find({ ...valuesOf(OWNER), backup_password: `\ufeff${PASSWORD} \n` });
        assert.deepEqual(failureIn(surrounded), { ...expected, reason: 'password_surrounded' });

        const name = await buckets.make();
        await buckets.putRepository(name, files);
        await buckets.client.send(new DeleteObjectCommand({ Bucket: name, Key: 'config' }));
        const lost = await find(valuesOf(OWNER, buckets.repository(name)));
        const notOne = { check: 'repository', state: 'failed', reason: 'not_a_repository', subject: 'config' };
        assert.deepEqual(failureIn(lost), notOne);
        await buckets.client.send(new PutObjectCommand({ Bucket: name, Key: 'config', Body: Buffer.alloc(5000) }));
        assert.deepEqual(failureIn(await find(valuesOf(OWNER, buckets.repository(name)))), notOne);
      });
    });
  }
});
