import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';

import type { Finding, ProbeJob } from '../../../src/validation.ts';
import { pour } from '../../support/pour.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { refusal, startHttp, startTcp, type StubServer } from './stub-server.ts';
import { ServiceAccountKey } from './google-tokens.ts';
import { failureIn, jobOf, suiteScope } from './harness.ts';
import { ProberChild } from './prober-child.ts';
import { LIST, LOCATION, plain } from './s3-stub.ts';

/** The most memory that an endless answer may cost beyond an ordinary job, in MiB: socket buffers and garbage. */
const EXTRA_MIB_MAX = 48;

const KIB = 1024;
const HEAD = 'HTTP/1.1 200 OK\r\n';

/** The first bytes, and what follows for as long as the peer reads. */
interface Stream {
  readonly first: string;
  readonly more: string;
}

const endless = (text: string): string => text.repeat(Math.ceil((64 * KIB) / text.length));

const HEADERS: Stream = { first: HEAD, more: endless('x-more: of this\r\n') };

/** The endless streams that a server can send in place of an answer. */
const STREAMS: readonly (readonly [what: string, stream: Stream, expected: Finding['reason'][]])[] = [
  ['headers', HEADERS, ['answer_too_large']],
  ['one header', { first: `${HEAD}x-more: `, more: endless('x') }, ['answer_too_large']],
  ['a status line', { first: 'HTTP/1.1 200 ', more: endless('O') }, ['answer_too_large', 'unexpected_answer']],
  [
    'names',
    {
      first: `${HEAD}\r\n<ListBucketResult><Name>bucket-1</Name>`,
      more: endless('<Contents><Key>config</Key></Contents>'),
    },
    ['answer_too_large'],
  ],
  ['nested elements', { first: `${HEAD}\r\n<ListBucketResult>`, more: endless('<Contents>') }, ['answer_too_large']],
  [
    'chunks of one byte',
    { first: `${HEAD}transfer-encoding: chunked\r\n\r\n`, more: endless('1\r\nx\r\n') },
    ['answer_too_large'],
  ],
  [
    'extensions of a chunk',
    { first: `${HEAD}transfer-encoding: chunked\r\n\r\n1`, more: endless(';x=y') },
    ['answer_too_large', 'connection_lost'],
  ],
  ['an error', { first: 'HTTP/1.1 403 No\r\n\r\n<Error>', more: endless('<Code>') }, ['answer_too_large']],
  ['interim answers', { first: '', more: endless('HTTP/1.1 103 Hints\r\n\r\n') }, ['answer_too_large']],
];

describe('the memory of the prober, against a server that streams endlessly', () => {
  const scope = suiteScope(after);
  let ordinary: Readonly<Record<string, number>>;

  before(async () => {
    const server = await startHttp(scope, refusal('InvalidAccessKeyId'));
    const peaks = ['s3', 'minio'].map(
      async (provider) => [provider, (await run(scope, jobAt(server, provider))).peakMib] as const,
    );
    ordinary = Object.fromEntries(await Promise.all(peaks));
  });

  const assertBounded = (provider: string, peakMib: number): void =>
    assert.ok(peakMib <= (ordinary[provider] ?? 0) + EXTRA_MIB_MAX, `${peakMib} MiB, otherwise ${ordinary[provider]}`);

  for (const [what, stream, expected] of STREAMS) {
    it(`is bounded if the server sends ${what}, and the job ends with a finding`, async (t) => {
      const server = await startTcp(t, (socket) => void socket.once('data', () => sendEndless(socket, stream)));
      const { failure, peakMib } = await run(t, jobAt(server, 's3'));
      assert.ok(expected.includes(failure?.reason), JSON.stringify(failure));
      assertBounded('s3', peakMib);
    });
  }

  for (const provider of ['s3', 'minio']) {
    it(`is bounded if an object is endless, with the library for ${provider}`, async (t) => {
      let kept: Uint8Array = Buffer.alloc(0);
      const server = await startHttp(t, ({ method, url = '' }, response, body) => {
        if (url.includes('location')) response.end(LOCATION);
        else if (url.includes('list-type')) response.end(LIST);
        else if (method === 'DELETE') response.writeHead(204).end();
        else if (method === 'PUT') {
          kept = body;
          response.writeHead(200, { etag: '"x"' }).end();
        } else if (url.includes('.cio-')) response.end(kept);
        else sendEndless(response.socket as Socket, { first: `${HEAD}\r\n`, more: endless('x') });
      });
      const { failure, peakMib } = await run(t, jobAt(server, provider));
      assert.deepEqual(failure, { check: 'repository', state: 'failed', reason: 'answer_too_large' });
      assertBounded(provider, peakMib);
    });
  }

  describe('over TLS', { skip: skipUnless(command('openssl')) }, () => {
    let authority: Authority;

    before(async () => {
      authority = await makeAuthority(scope);
    });

    const startSecure = async (t: Scope, stream: Stream): Promise<number> => {
      const { certificate: cert, key } = await authority.sign('IP:127.0.0.1');
      const secureContext = tls.createSecureContext({ cert, key });
      const server = await startTcp(t, (socket) => {
        const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
        secure.on('error', () => socket.destroy());
        secure.once('data', () => sendEndless(secure, stream));
      });
      return server.port;
    };

    it('is bounded if a token of Google is endless', async (t) => {
      const token = { first: `${HEAD}content-type: application/json\r\n\r\n{"access_token":"`, more: endless('a') };
      const port = await startSecure(t, token);
      const job = {
        set: 'google',
        provider: 'google',
        restoreOnly: false,
        makeBucket: false,
        values: {
          backup_repo: 'gs:backup:/',
          project_id: 'project',
          service_account: new ServiceAccountKey().json(`https://127.0.0.1:${port}/token`),
          endpoint: `https://127.0.0.1:${port}`,
          endpoint_ca: authority.certificate,
        },
      };
      const { failure, peakMib } = await run(t, job);
      assert.deepEqual(failure, { check: 'key', state: 'failed', reason: 'answer_too_large' });
      assertBounded('s3', peakMib);
    });

    it('is bounded if the server does not speak TLS', async (t) => {
      const server = await startTcp(t, (socket) => void socket.once('data', () => sendEndless(socket, HEADERS)));
      const values = { backup_repo: `s3:https://${server.authority}/bucket-1`, endpoint_ca: authority.certificate };
      const { failure, peakMib } = await run(t, jobOf(values));
      assert.equal(failure?.check, 'tls', JSON.stringify(failure));
      assertBounded('s3', peakMib);
    });
  });
});

function jobAt(server: StubServer, provider: string): ProbeJob {
  return jobOf(plain(server), { provider });
}

/** Runs a job in a process of its own, and measures its peak memory. */
async function run(scope: Scope, job: ProbeJob): Promise<{ failure: Finding | undefined; peakMib: number }> {
  const child = new ProberChild(scope).send(`${JSON.stringify(job)}\0`);
  let peakMib = 0;
  const watch = setInterval(() => (peakMib = Math.max(peakMib, peakOf(child.process.pid))), 10);
  try {
    assert.equal(await child.ended, 0, child.stderr);
  } finally {
    clearInterval(watch);
  }
  const { ms: _ms, ...failure } = failureIn(child.findings) ?? {};
  assert.ok(peakMib > 0);
  return { failure: failure as Finding, peakMib };
}

/** `VmHWM` of proc_pid_status(5), the peak of the resident set; 0 for a process that has ended. */
function peakOf(pid = 0): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / KIB;
  } catch {
    return 0;
  }
}

/** Sends the start of an answer, and the rest for as long as the peer reads. */
function sendEndless(socket: Socket, { first, more }: Stream): void {
  const piece = Buffer.from(more);
  socket.on('error', () => undefined).write(first);
  pour(socket, () => piece);
}
