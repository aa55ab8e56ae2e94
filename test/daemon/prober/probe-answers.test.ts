import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { describe, it } from 'node:test';

import type { Finding } from '../../../src/validation.ts';
import { Canaries, assertUnseen } from '../../support/canary.ts';
import { pour } from '../../support/pour.ts';
import { refusal, startHttp, startTcp, type StubServer } from './stub-server.ts';
import { failed, failureIn, findingFor, findingsOf, jobOf } from './harness.ts';
import { LIST, LOCATION, PROVIDERS, plain } from './s3-stub.ts';

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
      pour(response, () => Buffer.alloc(65_536, 'x'));
    });
    const heads = await startTcp(t, (socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n');
        pour(socket, () => 'x-more: and more\r\n'.repeat(1000));
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
