import { createHash, createHmac } from 'node:crypto';

import type { S3Server, S3User } from '../../support/s3-server.ts';

/** Temporary keys as the fields of a set. */
export interface TemporaryKeys extends Readonly<Record<string, string>> {
  readonly access_key: string;
  readonly secret_key: string;
  readonly session_token: string;
}

/** Lets a user of RGW assume a role with all rights on all buckets. */
export async function makeRole({ admin }: S3Server, user: S3User): Promise<string> {
  const policyOf = (statement: object): string =>
    JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] });
  const trust = policyOf({ Principal: { AWS: [`arn:aws:iam:::user/${user.name}`] }, Action: ['sts:AssumeRole'] });
  const rights = policyOf({ Action: ['s3:*'], Resource: ['arn:aws:s3:::*'] });
  await admin('role', 'create', '--role-name', 'backup', '--assume-role-policy-doc', trust);
  await admin('role-policy', 'put', '--role-name', 'backup', '--policy-name', 'all', '--policy-doc', rights);
  return 'arn:aws:iam:::role/backup';
}

/** Assumes a role for some seconds. Client libraries ask for at least 15 minutes. */
export async function assumeRole(
  { endpoint }: S3Server,
  user: S3User,
  role: string,
  seconds: number,
): Promise<TemporaryKeys> {
  const body = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    RoleArn: role,
    RoleSessionName: 'session',
    DurationSeconds: String(seconds),
  }).toString();
  const headers = signed(new URL(endpoint).host, body, user);
  const answer = await (await fetch(endpoint, { method: 'POST', headers, body })).text();
  const read = (element: string): string => new RegExp(`<${element}>([^<]+)</${element}>`).exec(answer)?.[1] ?? '';
  const keys = {
    access_key: read('AccessKeyId'),
    secret_key: read('SecretAccessKey'),
    session_token: read('SessionToken'),
  };
  if (Object.values(keys).includes('')) throw new Error(`no role was given: ${answer}`);
  return keys;
}

/** Returns the headers of a request to the STS service, with Amazon's signature version 4. */
function signed(host: string, body: string, { accessKey, secretKey }: S3User): Record<string, string> {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const parts = [stamp.slice(0, 8), 'us-east-1', 'sts', 'aws4_request'];
  const type = 'application/x-www-form-urlencoded';
  const names = 'content-type;host;x-amz-date';
  const head = `content-type:${type}\nhost:${host}\nx-amz-date:${stamp}\n`;
  const canonical = ['POST', '/', '', head, names, sha256(body)].join('\n');
  const text = ['AWS4-HMAC-SHA256', stamp, parts.join('/'), sha256(canonical)].join('\n');
  const key = parts.reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${secretKey}`);
  const signature = hmac(key, text).toString('hex');
  const credential = `Credential=${accessKey}/${parts.join('/')}`;
  return {
    'content-type': type,
    'x-amz-date': stamp,
    authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, Signature=${signature}`,
  };
}
