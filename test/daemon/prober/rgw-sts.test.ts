import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import type { Finding } from '../../../src/validation.ts';
import { skipUnless } from '../../support/requirements.ts';
import { S3_SERVER, startS3Server, WITH_STS, type S3Server, type S3User } from '../../support/s3-server.ts';
import { assumeRole, makeRole } from './assume-role.ts';
import { failureIn, findingsOf, jobOf, suiteScope } from './harness.ts';
import { Buckets } from './s3-buckets.ts';

const OWNER: S3User = {
  name: 'owner',
  accessKey: 'OWNERACCESSKEY000001',
  secretKey: 'owner/secret+key/0000000000000000000001',
};
const STRANGER: S3User = {
  name: 'stranger',
  accessKey: 'OTHERACCESSKEY000001',
  secretKey: 'other/secret+key/0000000000000000000001',
};

/** With STS the gateway answers AccessDenied for wrong keys and for an expired token. */
describe('probe() against Ceph RGW with STS', { skip: skipUnless(...S3_SERVER) }, () => {
  const scope = suiteScope(after);
  let server: S3Server;
  let buckets: Buckets;
  let bucket: string;
  let role: string;

  before(async () => {
    server = await startS3Server(scope, [OWNER, STRANGER], WITH_STS);
    buckets = new Buckets(server.endpoint, OWNER);
    bucket = await buckets.make();
    role = await makeRole(server, OWNER);
  });

  for (const provider of ['s3', 'minio'] as const) {
    const find = (user: S3User, rest: Readonly<Record<string, string>> = {}): Promise<Finding[]> => {
      const { accessKey: access_key, secretKey: secret_key } = user;
      return findingsOf(
        jobOf({ backup_repo: buckets.repository(bucket), access_key, secret_key, ...rest }, { provider }),
      );
    };
    const rejected = (field: string): Finding => ({ check: 'key', state: 'failed', reason: 'key_rejected', field });

    it(`accepts keys with a session token until they expire, with the library for ${provider}`, async () => {
      const taken = await find(OWNER, await assumeRole(server, OWNER, role, 900));
      assert.equal(failureIn(taken), undefined, JSON.stringify(taken));
      const short = await assumeRole(server, OWNER, role, 2);
      await new Promise((resolve) => setTimeout(resolve, 3500));
      assert.deepEqual(failureIn(await find(OWNER, short)), rejected('session_token'));
    });

    it(`does not report a wrong secret as a missing right, with the library for ${provider}`, async () => {
      assert.deepEqual(failureIn(await find(OWNER, { secret_key: STRANGER.secretKey })), rejected('secret_key'));
      // The server answers the same for a stranger's valid keys, so they cannot be told apart.
      assert.deepEqual(failureIn(await find(STRANGER)), rejected('secret_key'));
    });
  }
});
