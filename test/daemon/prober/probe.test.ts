import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { after, before, describe, it } from 'node:test';

import { probe } from '../../../daemon/prober/probe.ts';
import { CHECKS, type Finding } from '../../../src/validation.ts';
import { command, ipv6, skipUnless } from '../../support/requirements.ts';
import { Canaries, assertUnseen } from '../../support/canary.ts';
import type { ServerIdentity } from '../../support/minio-server.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { lookupOf, refusal, startHttp, startTcp, toThisHost, type StubServer } from './stub-server.ts';
import { failureIn, findingFor, findingsOf, jobOf, suiteScope, VALUES } from './harness.ts';

const PROVIDERS = ['s3', 'minio'] as const;
const LIST = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>bucket-1</Name></ListBucketResult>';
const LOCATION = '<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint></LocationConstraint>';

/** Returns a failed finding. */
function failed(check: Finding['check'], reason: Finding['reason'], rest: Partial<Finding> = {}): Partial<Finding> {
  return { check, state: 'failed', reason, ...rest } as Finding;
}

const plain = (server: StubServer, rest = ''): Record<string, string> => ({
  backup_repo: `s3:http://${server.authority}/bucket-1${rest}`,
});

describe('probe(): the shape of the set', () => {
  it('reports a missing or invalid field, and makes no request', async () => {
    const cases: readonly (readonly [Record<string, string>, Partial<Finding>])[] = [
      [{ access_key: '' }, failed('shape', 'missing_field', { field: 'access_key', subject: 'access_key' })],
      [{ secret_key: '' }, failed('shape', 'missing_field', { field: 'secret_key', subject: 'secret_key' })],
      [
        { backup_repo: 'sftp:host:/x' },
        failed('shape', 'invalid_value', { field: 'backup_repo', subject: 'backup_repo' }),
      ],
      [{ region: 'eu/../x' }, failed('shape', 'invalid_value', { field: 'region', subject: 'region' })],
      [{ use_iam: 'yes' }, failed('shape', 'invalid_value', { field: 'use_iam', subject: 'use_iam' })],
      [{ proxy: 'proxy:3128' }, failed('shape', 'invalid_value', { field: 'proxy', subject: 'proxy' })],
    ];
    for (const [values, expected] of cases) {
      const findings = await findingsOf(jobOf(values));
      assert.deepEqual(findings[0], expected);
      assert.deepEqual(
        findings.slice(1),
        CHECKS.slice(1).map((check) => ({ check, state: 'skipped', reason: 'earlier_failure', subject: 'shape' })),
      );
    }
    const unknown = await findingsOf(jobOf({}, { provider: 'etcd' }));
    assert.deepEqual(failureIn(unknown), failed('shape', 'not_supported', { field: 'provider', subject: 'etcd' }));
  });
});

describe('probe(): the connection to the server', { skip: skipUnless(command('openssl')) }, () => {
  const scope = suiteScope(after);
  let authority: Authority;
  let other: Authority;

  before(async () => {
    [authority, other] = await Promise.all([makeAuthority(scope), makeAuthority(scope)]);
  });

  const secure = (
    server: StubServer,
    host = '127.0.0.1',
    rest: Record<string, string> = {},
  ): Record<string, string> => ({
    backup_repo: `s3:https://${host}:${server.port}/bucket-1`,
    endpoint_ca: authority.certificate,
    ...rest,
  });
  const startSecure = (identity: ServerIdentity): Promise<StubServer> =>
    startHttp(scope, refusal('InvalidAccessKeyId'), identity);

  it('refuses the metadata service of a cloud behind a name, unless the set allows it', async () => {
    const lookup = lookupOf('169.254.169.254');
    const values = { backup_repo: 's3:http://metadata.test/bucket-1' };
    const expected = failed('resolve', 'address_refused', { field: 'backup_repo', subject: '169.254.169.254' });
    assert.deepEqual(failureIn(await findingsOf(jobOf(values), { lookup })), expected);
    for (const answer of ['TRUE', 'yes', '1', '']) {
      assert.deepEqual(
        failureIn(await findingsOf(jobOf({ ...values, allow_link_local: answer }), { lookup })),
        expected,
      );
    }
  });

  it('looks the name up once, and connects to that address', async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    let count = 0;
    const lookup = (): Promise<readonly { address: string; family: number }[]> => {
      count += 1;
      return Promise.resolve([{ address: count === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    for (const provider of PROVIDERS) {
      count = 0;
      const job = jobOf({ backup_repo: `s3:http://rebinding.test:${server.port}/bucket-1` }, { provider });
      assert.deepEqual(failureIn(await findingsOf(job, { lookup }))?.reason, 'unknown_access_key');
      assert.equal(count, 1);
    }
    assert.match(server.seen[0] ?? '', /^host\nrebinding\.test:\d+$/im);
  });

  it('closes its connections', { timeout: 30_000 }, async (t) => {
    const body = '<Error><Code>InvalidAccessKeyId</Code></Error>';
    for (const provider of PROVIDERS) {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      const server = await startTcp(t, (socket) => {
        socket.once('close', () => resolve());
        // It would keep the connection open for ever.
        socket.on('data', () => socket.write(`HTTP/1.1 403 No\r\ncontent-length: ${body.length}\r\n\r\n${body}`));
      });
      const job = jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider });
      assert.equal(failureIn(await findingsOf(job))?.reason, 'unknown_access_key');
      await closed;
    }
  });

  it('accepts up to eight informational answers before the final one', async (t) => {
    const body = '<Error><Code>InvalidAccessKeyId</Code></Error>';
    for (const [count, reason] of [
      [8, 'unknown_access_key'],
      [9, 'answer_too_large'],
    ] as const) {
      const server = await startTcp(t, (socket) => {
        socket.on('data', () => {
          socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(count));
          if (count === 8) socket.write(`HTTP/1.1 403 No\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
        });
      });
      for (const provider of PROVIDERS) {
        const job = jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider });
        assert.equal(failureIn(await findingsOf(job))?.reason, reason);
      }
    }
  });

  it('reports connection_refused if nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const subject = `127.0.0.1:${port}`;
    const findings = await findingsOf(jobOf({ backup_repo: `s3:http://${subject}/bucket-1` }));
    assert.deepEqual(failureIn(findings), failed('connect', 'connection_refused', { field: 'backup_repo', subject }));
  });

  it('connects to an IPv6 address', { skip: skipUnless(ipv6) }, async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'), undefined, '::1');
    for (const provider of PROVIDERS) {
      const findings = await findingsOf(jobOf(plain(server), { provider }));
      assert.equal(failureIn(findings)?.reason, 'unknown_access_key', JSON.stringify(findings));
    }
    assert.match(server.seen[0] ?? '', /^host\n\[::1\]:\d+$/im);
  });

  it('tries the next address if one refuses', async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    const findings = await findingsOf(jobOf({ backup_repo: `s3:http://two.test:${server.port}/bucket-1` }), {
      lookup: lookupOf('127.0.0.2', '127.0.0.1'),
    });
    assert.equal(findingFor(findings, 'connect').state, 'passed');
  });

  it("accepts a certificate of the set's authority, and no other", async (t) => {
    const server = await startSecure(await authority.sign('IP:127.0.0.1'));
    const findings = await findingsOf(jobOf(secure(server)));
    assert.equal(findingFor(findings, 'tls').state, 'passed');
    assert.equal(failureIn(findings)?.reason, 'unknown_access_key');
    const expected = failed('tls', 'certificate_not_trusted', { field: 'endpoint_ca' });
    for (const values of [
      { endpoint_ca: other.certificate },
      { endpoint_ca: `${other.certificate}${other.certificate}` },
    ]) {
      assert.deepEqual(failureIn(await findingsOf(jobOf(secure(server, '127.0.0.1', values)))), expected);
    }
    const { endpoint_ca: _ca, ...withoutAuthority } = secure(server);
    const before = server.seen.length;
    assert.deepEqual(failureIn(await findingsOf(jobOf(withoutAuthority))), expected);
    assert.equal(server.seen.length, before, 'a request was sent over a connection that nobody vouched for');
    void t;
  });

  it('refuses a self-signed certificate', async () => {
    const server = await startSecure(await selfSigned(scope));
    const { endpoint_ca: _ca, ...values } = secure(server);
    assert.deepEqual(
      failureIn(await findingsOf(jobOf(values))),
      failed('tls', 'certificate_not_trusted', { field: 'endpoint_ca' }),
    );
  });

  it('distinguishes a certificate for another host from an expired one', async () => {
    const elsewhere = await startSecure(await authority.sign('DNS:elsewhere.test'));
    const wrong = failed('tls', 'certificate_wrong_host', { field: 'backup_repo', subject: '127.0.0.1' });
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(elsewhere)))), wrong);
    const right = await findingsOf(jobOf(secure(elsewhere, 'elsewhere.test')), { lookup: toThisHost });
    assert.equal(findingFor(right, 'tls').state, 'passed');
    const expired = await startSecure(await authority.sign('IP:127.0.0.1', -1));
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(expired)))), failed('tls', 'certificate_expired'));
  });

  it('goes on without verification if the set says so, with a warning each time', async () => {
    const server = await startSecure(await other.sign('DNS:elsewhere.test'));
    const findings = await findingsOf(jobOf(secure(server, '127.0.0.1', { skip_verify: 'true' })));
    const expected = {
      check: 'tls',
      state: 'warning',
      reason: 'certificate_not_verified',
      field: 'skip_verify',
      subject: server.authority,
    };
    assert.deepEqual(findingFor(findings, 'tls'), expected);
    assert.equal(failureIn(findings)?.reason, 'unknown_access_key');
    const not = await findingsOf(jobOf(secure(server, '127.0.0.1', { skip_verify: 'yes' })));
    assert.equal(failureIn(not)?.check, 'tls');
  });

  it('reports an authority that is not a certificate', async () => {
    const server = await startSecure(await authority.sign('IP:127.0.0.1'));
    const expected = failed('tls', 'invalid_value', { field: 'endpoint_ca', subject: 'endpoint_ca' });
    for (const text of ['', 'garbage', authority.certificate.slice(0, 300), authority.certificate.replace(/M/g, 'N')]) {
      assert.deepEqual(
        failureIn(await findingsOf(jobOf(secure(server, '127.0.0.1', { endpoint_ca: text })))),
        expected,
      );
    }
  });

  it('distinguishes a server that does not speak TLS from one that ends the connection', async (t) => {
    const http = await startHttp(t, refusal('InvalidAccessKeyId'));
    assert.equal(failureIn(await findingsOf(jobOf(secure(http))))?.reason, 'not_tls');
    const breaking = await startTcp(t, (socket) => socket.once('data', () => socket.destroy()));
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(breaking)))), failed('tls', 'connection_lost'));
    const alert = await startTcp(t, (socket) =>
      socket.once('data', () => socket.end(Buffer.from('15030300020228', 'hex'))),
    );
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(alert)))), failed('tls', 'tls_failed'));
  });
});

/** Returns a self-signed certificate. */
async function selfSigned(scope: { after(cleanUp: () => void): void }): Promise<ServerIdentity> {
  const authority = await makeAuthority(scope);
  return { certificate: authority.certificate, key: authority.key };
}

describe('probe(): the answers of the server', () => {
  const codes: readonly (readonly [string, number, Partial<Finding>])[] = [
    ['InvalidAccessKeyId', 403, failed('key', 'unknown_access_key', { field: 'access_key' })],
    ['SignatureDoesNotMatch', 403, failed('key', 'key_rejected', { field: 'secret_key' })],
    ['ExpiredToken', 400, failed('key', 'key_expired', { field: 'session_token' })],
    ['InvalidToken', 400, failed('key', 'key_rejected', { field: 'session_token' })],
    ['UserSuspended', 403, failed('key', 'user_suspended')],
    ['NoSuchBucket', 404, failed('bucket', 'no_such_bucket', { field: 'backup_repo', subject: 'bucket-1' })],
    // It answers so for every key.
    ['AccessDenied', 403, failed('key', 'key_rejected', { field: 'secret_key' })],
    ['SlowDown', 503, failed('key', 'server_error', { subject: 'SlowDown' })],
    ['InternalError', 500, failed('key', 'server_error', { subject: 'InternalError' })],
    ['NotImplemented', 501, failed('key', 'not_supported', { subject: 's3:ListBucket' })],
    ['SomethingElse', 400, failed('key', 'unexpected_answer', { subject: 'SomethingElse' })],
    ['PermanentRedirect', 301, failed('region', 'redirected', { field: 'backup_repo' })],
  ];
  for (const [code, status, expected] of codes) {
    it(`${status} ${code} is ${expected.reason}, with both libraries`, async (t) => {
      const server = await startHttp(t, refusal(code, status));
      for (const provider of PROVIDERS) {
        const findings = await findingsOf(jobOf(plain(server), { provider }));
        assert.deepEqual(failureIn(findings), expected, provider);
      }
    });
  }

  it('repeats a request that failed on the server once', async (t) => {
    const server = await startHttp(t, refusal('SlowDown', 503));
    await findingsOf(jobOf(plain(server)));
    assert.equal(server.seen.length, 2);
  });

  it("reports the server's region if the set names another one", async (t) => {
    for (const [status, code] of [
      [400, 'AuthorizationHeaderMalformed'],
      [301, 'PermanentRedirect'],
    ] as const) {
      const server = await startHttp(t, refusal(code, status, '<Region>eu-central-1</Region>'));
      for (const provider of PROVIDERS) {
        const findings = await findingsOf(jobOf({ ...plain(server), region: 'us-west-2' }, { provider }));
        const expected = failed('region', 'wrong_region', { field: 'region', subject: 'eu-central-1' });
        assert.deepEqual(failureIn(findings), expected, `${provider} ${code}`);
      }
    }
  });

  it('reports a bare 401 or 403 as rejected keys, and other statuses as they are', async (t) => {
    const cases = [
      [401, failed('key', 'key_rejected', { field: 'secret_key' })],
      [403, failed('key', 'key_rejected', { field: 'secret_key' })],
      [404, failed('key', 'unexpected_answer', { subject: 'HTTP 404' })],
      [500, failed('key', 'server_error', { subject: 'HTTP 500' })],
      [302, failed('region', 'redirected', { field: 'backup_repo' })],
    ] as const;
    for (const [status, expected] of cases) {
      const server = await startHttp(t, (_request, response) => response.writeHead(status).end('nothing of S3'));
      for (const provider of PROVIDERS) {
        assert.deepEqual(
          failureIn(await findingsOf(jobOf(plain(server), { provider }))),
          expected,
          `${provider} ${status}`,
        );
      }
    }
  });

  it('reports unexpected_answer for a server that answers every request with the same page', async (t) => {
    const bodies = [
      '<html><body>Log in</body></html>',
      '',
      '{}',
      LIST.replace('?>', '?><!DOCTYPE x>'),
      `<x>${LIST}</x>`,
    ];
    for (const body of bodies) {
      const server = await startHttp(t, (_request, response) => response.writeHead(200).end(body));
      for (const provider of PROVIDERS) {
        const findings = await findingsOf(jobOf(plain(server), { provider }));
        assert.deepEqual(failureIn(findings), failed('key', 'unexpected_answer', { subject: 'HTTP 200' }), body);
      }
    }
  });

  it('follows no redirect, and sends no keys to another host', async (t) => {
    const canaries = new Canaries();
    const secret_key = canaries.plantWord('secret');
    const thief = await startHttp(t, refusal('AccessDenied'));
    for (const status of [301, 302, 303, 307, 308]) {
      const location = `http://${thief.authority.replace('127.0.0.1', 'localhost')}/bucket-1`;
      const server = await startHttp(t, (_request, response) => response.writeHead(status, { location }).end());
      for (const provider of PROVIDERS) {
        const findings = await findingsOf(jobOf({ ...plain(server), secret_key }, { provider }));
        assert.deepEqual(failureIn(findings), failed('region', 'redirected', { field: 'backup_repo' }));
      }
      assertUnseen(canaries.findIn('requests', server.seen.join('\n')));
    }
    assert.deepEqual(thief.seen, []);
  });

  it('stops reading an endless answer, in its body or its headers', async (t) => {
    const endless = await startHttp(t, (_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x'))) void 0;
      };
      response.on('drain', more);
      more();
    });
    const heads = await startTcp(t, (socket) =>
      socket.once('data', () => {
        const more = (): void => {
          while (!socket.destroyed && socket.write('x-more: and more\r\n'.repeat(1000))) void 0;
        };
        socket.on('drain', more).write('HTTP/1.1 200 OK\r\n');
        more();
      }),
    );
    for (const server of [endless, heads]) {
      for (const provider of PROVIDERS) {
        const before = process.memoryUsage().rss;
        const findings = await findingsOf(jobOf(plain(server), { provider }));
        assert.deepEqual(failureIn(findings), failed('key', 'answer_too_large'));
        assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
      }
    }
  });

  it('reports an answer that is not HTTP, or is cut off', async (t) => {
    const garbage = await startTcp(t, (socket) => socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n')));
    const lost = await startTcp(t, (socket) => socket.once('data', () => socket.destroy()));
    const half = await startTcp(t, (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<?xml')),
    );
    for (const provider of PROVIDERS) {
      const job = (server: StubServer): ReturnType<typeof jobOf> => jobOf(plain(server), { provider });
      assert.deepEqual(
        failureIn(await findingsOf(job(garbage))),
        failed('key', 'unexpected_answer', { subject: 'HTTP' }),
      );
      for (const server of [lost, half]) {
        assert.deepEqual(failureIn(await findingsOf(job(server))), failed('key', 'connection_lost'));
      }
    }
  });

  it('waits ten seconds for an answer, even if it arrives byte by byte', { timeout: 30_000 }, async (t) => {
    const silent = await startTcp(t, (socket) => socket.resume());
    const slow = await startTcp(t, (socket) => {
      const timer = setInterval(() => socket.write('x'), 100);
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nx-slow: ')).once('close', () => clearInterval(timer));
    });
    const startedMs = performance.now();
    const all = await Promise.all([silent, slow].map((server) => findingsOf(jobOf(plain(server)))));
    for (const findings of all) assert.deepEqual(failureIn(findings), failed('key', 'timed_out'));
    assert.ok(performance.now() - startedMs < 12_000);
  });

  it('distinguishes a clock that is off by an hour from wrong keys', async (t) => {
    const hour = 3600_000;
    for (const offMs of [hour, -hour]) {
      const date = new Date(Date.now() + offMs).toUTCString();
      const server = await startHttp(t, (request, response) => {
        response.setHeader('date', date);
        refusal('SignatureDoesNotMatch')(request, response);
      });
      for (const provider of PROVIDERS) {
        const findings = await findingsOf(jobOf(plain(server), { provider }));
        const failure = failureIn(findings);
        assert.equal(failure?.reason, 'clock_skewed');
        assert.ok(Math.abs(Number(failure?.subject) - 3600) <= 2, failure?.subject);
        assert.equal(findingFor(findings, 'key').state, 'skipped');
      }
    }
  });

  it("warns about the server's clock, but signs with the time of this host", async (t) => {
    const server = await startHttp(t, (request, response) => {
      response.setHeader('date', new Date(Date.now() + 3600_000).toUTCString());
      response.end(request.url?.includes('location') === true ? LOCATION : LIST);
    });
    for (const provider of PROVIDERS) {
      const findings = await findingsOf(jobOf(plain(server), { provider, restoreOnly: true }));
      assert.deepEqual(
        [findingFor(findings, 'clock').state, findingFor(findings, 'clock').reason],
        ['warning', 'clock_skewed'],
      );
    }
    assert.ok(server.seen.length >= 4);
    for (const request of server.seen) {
      const [, stamp = ''] = /x-amz-date\n(\d{8}T\d{6})Z/i.exec(request) ?? [];
      const at = Date.parse(stamp.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/, '$1-$2-$3T$4:$5:$6Z'));
      assert.ok(Math.abs(at - Date.now()) < 60_000, request);
    }
  });

  it('reports that a server sends no time', async (t) => {
    const server = await startHttp(t, (request, response) => {
      response.sendDate = false;
      refusal('InvalidAccessKeyId')(request, response);
    });
    const findings = await findingsOf(jobOf(plain(server)));
    assert.deepEqual(findingFor(findings, 'clock'), { check: 'clock', state: 'skipped', reason: 'clock_not_told' });
  });

  it('never repeats text of the server', async (t) => {
    const canaries = new Canaries();
    const word = canaries.plantWord('words');
    const server = await startHttp(t, (_request, response) => {
      response.writeHead(403, `x${word}`, { 'x-amz-request-id': word, 'x-minio-error-code': `${word} ${word}` });
      response.end(`<Error><Code>${word} x</Code><Message>${word}</Message><Region>${word}/</Region></Error>`);
    });
    for (const provider of PROVIDERS) {
      const findings = await findingsOf(jobOf(plain(server), { provider }));
      assertUnseen(canaries.findIn('findings', JSON.stringify(findings)));
    }
  });

  it('sends a session token with the keys', async (t) => {
    const server = await startHttp(t, refusal('ExpiredToken', 400));
    for (const provider of PROVIDERS) {
      await findingsOf(jobOf({ ...plain(server), session_token: 'a-session-token' }, { provider }));
      assert.match(server.seen.at(-1) ?? '', /^x-amz-security-token\na-session-token$/im);
    }
  });
});

describe('probe(): the content of the bucket', () => {
  /** Starts a bucket that stores and returns everything; `act` may answer otherwise. */
  const startBucket = (
    t: Parameters<typeof startHttp>[0],
    act: (method: string, url: string) => { status: number; body?: string | Buffer } | undefined | 'never',
    options: { readonly onConnection?: () => void; readonly keepAlive?: boolean } = {},
  ): Promise<StubServer> => {
    const objects = new Map<string, Buffer>();
    const sockets = new Set<unknown>();
    return startHttp(t, (request, response, body) => {
      const { method = '', url = '' } = request;
      if (options.keepAlive === false) response.setHeader('connection', 'close');
      if (!sockets.has(request.socket)) options.onConnection?.();
      sockets.add(request.socket);
      const acted = act(method, url);
      if (acted === 'never') return;
      const name = url.split('?', 1)[0] ?? '';
      const object = objects.get(name);
      if (acted !== undefined) response.writeHead(acted.status, { etag: '"x"' }).end(acted.body);
      else if (url.includes('location')) response.end(LOCATION);
      else if (url.includes('list-type')) response.end(LIST);
      else if (method === 'PUT') {
        objects.set(name, body);
        response.writeHead(200, { etag: '"x"' }).end();
      } else if (method === 'DELETE') {
        objects.delete(name);
        response.writeHead(204).end();
      } else if (object !== undefined) response.end(object);
      else refusal('NoSuchKey', 404)(request, response);
    });
  };
  const deletesIn = (server: StubServer): string[] => server.seen.filter((request) => request.startsWith('DELETE'));

  it('reconnects to a server that closes every connection after an answer', async (t) => {
    for (const provider of PROVIDERS) {
      let connections = 0;
      const server = await startBucket(t, () => undefined, {
        onConnection: () => (connections += 1),
        keepAlive: false,
      });
      const findings = await findingsOf(jobOf(plain(server), { provider }));
      assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
      assert.equal(connections, server.seen.length);
    }
  });

  it('needs one connection and seven requests if the server keeps it open and there is no repository', async (t) => {
    for (const provider of PROVIDERS) {
      let connections = 0;
      const server = await startBucket(t, () => undefined, { onConnection: () => (connections += 1) });
      await findingsOf(jobOf(plain(server), { provider }));
      const asked = server.seen.map((request) => request.split(' ', 1)[0]);
      assert.deepEqual(asked, ['GET', 'GET', 'GET', 'GET', 'PUT', 'GET', 'DELETE']);
      assert.equal(connections, 1);
    }
  });

  it('writes with the storage class and encryption of the set, and with a digest', async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startBucket(t, () => undefined);
      await findingsOf(jobOf({ ...plain(server), storage_class: 'STANDARD_IA', sse: 'AES256' }, { provider }));
      const put = server.seen.find((request) => request.startsWith('PUT')) ?? '';
      assert.match(put, /^x-amz-storage-class\nSTANDARD_IA$/im);
      assert.match(put, /^x-amz-server-side-encryption\nAES256$/im);
      assert.match(put, /^content-md5\n[A-Za-z0-9+/]{22}==$/im);
    }
  });

  it('reports other bytes than those written, and still deletes the object', async (t) => {
    const cases = PROVIDERS.flatMap((provider) => [0, 63, 64].map((length) => [provider, length] as const));
    for (const [provider, length] of cases) {
      const server = await startBucket(t, (method, url) =>
        method === 'GET' && url.includes('.cio-') ? { status: 200, body: Buffer.alloc(length) } : undefined,
      );
      const findings = await findingsOf(jobOf(plain(server, '/a/b'), { provider }));
      assert.deepEqual(failureIn(findings), failed('read_back', 'other_bytes'));
      assert.equal(findingFor(findings, 'delete').state, 'passed');
      assert.match(deletesIn(server)[0] ?? '', /^DELETE \/bucket-1\/a\/b\/\.cio-credential-probe-[0-9a-f]{16}\b/);
    }
  });

  it('deletes what a failed request may have written', async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startBucket(t, (method) => (method === 'PUT' ? { status: 500 } : undefined));
      const findings = await findingsOf(jobOf(plain(server), { provider }));
      assert.deepEqual(failureIn(findings), failed('write', 'server_error', { subject: 'HTTP 500' }));
      assert.equal(deletesIn(server).length, 1);
      assert.equal(findingFor(findings, 'delete').reason, 'earlier_failure');
    }
  });

  it('reports the object that it must not delete', async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startBucket(t, (method) => (method === 'DELETE' ? { status: 403 } : undefined));
      const findings = await findingsOf(jobOf(plain(server, '/deep'), { provider }));
      assert.equal(failureIn(findings)?.check, 'delete');
      const told = findings.find(({ reason }) => reason === 'leftover_object');
      assert.match(told?.subject ?? '', /^deep\/\.cio-credential-probe-[0-9a-f]{16}$/);
    }
  });

  it('stops reading an endless object', async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startBucket(t, (_method, url) =>
        url.endsWith('/config') || url.includes('/config?') ? { status: 200, body: Buffer.alloc(1 << 20) } : undefined,
      );
      const findings = await findingsOf(jobOf(plain(server), { provider, restoreOnly: true }));
      assert.deepEqual(failureIn(findings), failed('repository', 'answer_too_large'));
    }
  });

  it('deletes the probe object if it is cancelled during read_back, and reports the cancellation', async (t) => {
    for (const provider of PROVIDERS) {
      const cancel = new AbortController();
      const server = await startBucket(t, (method, url) => {
        if (method !== 'GET' || !url.includes('.cio-')) return undefined;
        cancel.abort();
        return 'never';
      });
      const findings = await findingsOf(jobOf(plain(server), { provider }), { signal: cancel.signal });
      assert.equal(deletesIn(server).length, 1);
      assert.equal(failureIn(findings), undefined);
      assert.deepEqual(findingFor(findings, 'read_back'), {
        check: 'read_back',
        state: 'skipped',
        reason: 'cancelled',
      });
    }
  });

  it('waits for an object that is being written before it deletes it', async (t) => {
    const cancel = new AbortController();
    const order: string[] = [];
    const server = await startHttp(t, (request, response) => {
      const { method = '', url = '' } = request;
      order.push(method);
      if (url.includes('location')) response.end(LOCATION);
      else if (url.includes('list-type')) response.end(LIST);
      else if (method === 'PUT') {
        cancel.abort();
        setTimeout(() => {
          order.push('stored');
          response.writeHead(200, { etag: '"x"' }).end();
        }, 200);
      } else response.writeHead(204).end();
    });
    await findingsOf(jobOf(plain(server)), { signal: cancel.signal });
    assert.deepEqual(order.slice(-3), ['PUT', 'stored', 'DELETE']);
  });

  it('deletes it if the consumer of the findings stops', async (t) => {
    const server = await startBucket(t, () => undefined);
    for await (const { check } of probe(jobOf(plain(server)), new AbortController().signal)) {
      if (check === 'write') break;
    }
    assert.equal(deletesIn(server).length, 1);
  });

  it('is cancelled while it waits to repeat a request', async (t) => {
    const cancel = new AbortController();
    const server = await startHttp(t, (request, response) => {
      refusal('SlowDown', 503)(request, response);
      setTimeout(() => cancel.abort(), 50);
    });
    const findings = await findingsOf(jobOf(plain(server)), { signal: cancel.signal });
    assert.deepEqual(findingFor(findings, 'key'), { check: 'key', state: 'skipped', reason: 'cancelled' });
    assert.equal(server.seen.length, 1);
  });

  it('is cancelled by a signal that is aborted already', async () => {
    const findings = await findingsOf(jobOf(VALUES), { signal: AbortSignal.abort() });
    assert.ok(findings.every(({ reason }) => reason === 'cancelled'));
  });
});
