import { createHash } from 'node:crypto';
import fs from 'node:fs';

import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';

import { runSuccessfully, plainEnvironment } from '../../support/process.ts';
import type { S3User } from '../../support/s3-server.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** The five rights of a backup user in the documentation that our users follow. */
export const RIGHTS = [
  's3:PutObject',
  's3:GetObject',
  's3:DeleteObject',
  's3:ListBucket',
  's3:GetBucketLocation',
] as const;

export type Right = (typeof RIGHTS)[number] | 's3:DeleteObjectVersion';

/** The files of a repository, by their names. */
export type RepositoryFiles = ReadonlyMap<string, Buffer>;

/** Makes a repository with restic, once for many buckets since its key takes half a second. */
export async function makeRepository(scope: Scope, password: string): Promise<RepositoryFiles> {
  const directory = temporaryDirectory(scope, 'cio-restic');
  const env = { ...plainEnvironment(), HOME: directory, RESTIC_PASSWORD: password };
  await runSuccessfully(['restic', '--no-cache', '-r', `${directory}/repository`, 'init'], { env });
  const [key = ''] = fs.readdirSync(`${directory}/repository/keys`);
  const names = ['config', `keys/${key}`];
  return new Map(names.map((name) => [name, fs.readFileSync(`${directory}/repository/${name}`)]));
}

/** The buckets of one user, prepared for tests. */
export class Buckets {
  readonly client: S3Client;
  readonly #endpoint: string;
  #count = 0;

  constructor(endpoint: string, owner: Pick<S3User, 'accessKey' | 'secretKey'>, region = 'us-east-1', ca?: string) {
    this.#endpoint = endpoint;
    this.client = new S3Client({
      region,
      endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId: owner.accessKey, secretAccessKey: owner.secretKey },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      ...(ca === undefined ? {} : { requestHandler: { httpsAgent: { ca } } }),
    });
  }

  /** Makes a bucket. `suspended`: it was enabled before; `locked`: with an object lock. */
  async make(options: { readonly versioning?: 'enabled' | 'suspended' | 'locked' } = {}): Promise<string> {
    const Bucket = `probe-${process.pid}-${(this.#count += 1)}`;
    const isLocking = options.versioning === 'locked';
    await this.client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: isLocking }));
    const statuses = { enabled: ['Enabled'], suspended: ['Enabled', 'Suspended'], locked: [] } as const;
    for (const Status of options.versioning === undefined ? [] : statuses[options.versioning]) {
      const VersioningConfiguration = { Status };
      await this.client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    }
    if (isLocking) {
      const Rule = { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } } as const;
      const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule } as const;
      await this.client.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
    }
    return Bucket;
  }

  /** Grants rights to another user of RGW. */
  async allow(bucket: string, user: S3User, rights: readonly Right[]): Promise<void> {
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam:::user/${user.name}` },
        Action: rights,
        Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
      },
    });
    await this.client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  }

  /** Returns the names of everything in a bucket below a prefix, including markers and old versions. */
  async namesIn(bucket: string, Prefix = ''): Promise<string[]> {
    const { Versions = [], DeleteMarkers = [] } = await this.client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix }),
    );
    return [...Versions, ...DeleteMarkers].map(({ Key = '' }) => Key);
  }

  /** Returns the name that restic has for a repository. */
  repository(bucket: string, prefix = ''): string {
    return `s3:${this.#endpoint}/${bucket}${prefix === '' ? '' : `/${prefix}`}`;
  }

  /** Uploads a repository file by file. */
  async putRepository(bucket: string, files: RepositoryFiles, prefix = ''): Promise<void> {
    for (const [name, Body] of files) {
      const Key = prefix === '' ? name : `${prefix}/${name}`;
      const ContentMD5 = createHash('md5').update(Body).digest('base64');
      await this.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ContentMD5 }));
    }
  }
}
