import { scrypt } from 'node:crypto';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';

import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';

import { parseKeyFile } from '../../daemon/prober/restic/key-file.ts';
import { FrameSplitter } from '../../src/protocol/frame.ts';
import { Buckets, makeRepository } from '../daemon/prober/s3-buckets.ts';
import type { Daemon } from '../support/daemon.ts';
import { MINIO_SERVER, startMinioServer } from '../support/minio-server.ts';
import { command } from '../support/requirements.ts';
import type { Scope } from '../support/scope.ts';
import type { Reply } from '../support/varlink.ts';
import { callOnce } from './servers.ts';

type Handler = Extract<S3ClientConfig['requestHandler'], { handle: unknown }>;
type SdkRequest = Parameters<Handler['handle']>[0];

const SET = 's3';
const REGION = 'eu-central-9';
const PASSWORD = 'the password of the repository';
const PROBE = { Key: '.probe', Body: Buffer.alloc(64, 'x') };

/** The length of the derived keys: 32 bytes, and 16 and 16 (restic, `internal/crypto/kdf.go`). */
const DERIVED_BYTES = 64;

/** Far more than a finding has. */
const MESSAGE_BYTES_MAX = 65_536;

/** Returns what this machine lacks for the rows about validations; undefined if nothing. */
export function missingForValidation(): string | undefined {
  const missing = [...MINIO_SERVER, command('restic')].map((look) => look()).filter((what) => what !== undefined);
  return missing.length === 0 ? undefined : missing.join(', ');
}

/** The unavoidable parts of a validation, in ms. */
export interface Needed {
  readonly roundTrips: number;
  readonly derivation: number;
}

/** A set without any mistake: a bucket of a MinIO on this host, with a restic repository in it. */
export class ValidatedSet {
  readonly #values: Readonly<Record<string, string>>;
  readonly #bucket: string;
  readonly #key: readonly [name: string, bytes: Buffer];

  private constructor(values: Readonly<Record<string, string>>, bucket: string, key: readonly [string, Buffer]) {
    this.#values = values;
    this.#bucket = bucket;
    this.#key = key;
  }

  static async make(scope: Scope): Promise<ValidatedSet> {
    const server = await startMinioServer(scope, REGION);
    const buckets = new Buckets(server.endpoint, server, REGION);
    const files = await makeRepository(scope, PASSWORD);
    const bucket = await buckets.make();
    await buckets.putRepository(bucket, files);
    const key = [...files].find(([name]) => name.startsWith('keys/'));
    if (key === undefined) throw new Error('restic made no key');
    const values = {
      backup_repo: buckets.repository(bucket),
      access_key: server.accessKey,
      secret_key: server.secretKey,
      backup_password: PASSWORD,
      region: REGION,
    };
    return new ValidatedSet(values, bucket, key);
  }

  async storeIn(scope: Scope, daemon: Daemon): Promise<void> {
    const credentials = Object.entries(this.#values).map(([field, value]) => ({ name: `cio_${SET}_${field}`, value }));
    await callOnce(scope, daemon, 'Create', { credentials });
  }

  /** Has the daemon validate the set once, however long that takes. @throws Error if anything is wrong with it */
  async validate({ socketPath }: Pick<Daemon, 'socketPath'>): Promise<void> {
    const socket = connect(socketPath);
    try {
      const parameters = { target: SET };
      socket.write(`${JSON.stringify({ method: 'io.cio.Credentials.Validate', parameters, more: true })}\0`);
      const frames = new FrameSplitter(MESSAGE_BYTES_MAX);
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        for (const frame of frames.push(chunk)) {
          const { error, parameters, continues } = JSON.parse(Buffer.from(frame).toString()) as Reply;
          if (error !== undefined) throw new Error(`Validate fails: ${error}`);
          if (parameters?.['failed'] === true) throw new Error(`the set fails: ${JSON.stringify(parameters)}`);
          if (continues !== true) return;
        }
      }
      throw new Error('the daemon closed the connection');
    } finally {
      socket.destroy();
    }
  }

  /**
   * Makes the same requests, one after another over a new connection, timed from the first byte sent to the last one
   * received, without the time to sign them; and derives the repository's key by Node's own scrypt.
   */
  async need(): Promise<Needed> {
    const {
      access_key: accessKeyId = '',
      secret_key: secretAccessKey = '',
      backup_repo: repository = '',
    } = this.#values;
    const wire = new TimedWire();
    const client = new S3Client({
      region: REGION,
      endpoint: new URL(repository.slice('s3:'.length)).origin,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      requestHandler: wire as unknown as Handler,
    });
    const Bucket = this.#bucket;
    const [name, bytes] = this.#key;
    await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }));
    await client.send(new PutObjectCommand({ Bucket, ...PROBE }));
    await client.send(new GetObjectCommand({ Bucket, Key: PROBE.Key }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: PROBE.Key }));
    await client.send(new GetObjectCommand({ Bucket, Key: 'config' }));
    await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'keys/', MaxKeys: 21 }));
    await client.send(new GetObjectCommand({ Bucket, Key: name }));
    wire.close();
    return { roundTrips: wire.ms, derivation: await derive(bytes, name.slice('keys/'.length)) };
  }
}

/** Sends the SDK's signed requests, and adds up the times to their responses. */
class TimedWire {
  ms = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  async handle({ hostname, port, method, path, query, headers, body }: SdkRequest): Promise<object> {
    const pairs = Object.entries(query ?? {}).map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
    const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
    const options = { agent: this.#agent, host: hostname, port, method, path: target, headers };
    const startedMs = performance.now();
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(options, resolve)
        .on('error', reject)
        .end(body as Uint8Array | undefined);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    this.ms += performance.now() - startedMs;
    return {
      response: {
        statusCode: answer.statusCode,
        headers: answer.headers,
        body: Readable.from([Buffer.concat(chunks)]),
      },
    };
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Derives the key of a restic key file, and returns the duration in ms. */
async function derive(bytes: Buffer, name: string): Promise<number> {
  const file = parseKeyFile(bytes, name);
  if ('reason' in file) throw new Error(`restic made a key that is none: ${file.reason}`);
  const { N, r, p } = file.parameters;
  const startedMs = performance.now();
  await new Promise<void>((resolve, reject) => {
    scrypt(PASSWORD, file.salt, DERIVED_BYTES, { N, r, p, maxmem: 256 * N * r }, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return performance.now() - startedMs;
}
