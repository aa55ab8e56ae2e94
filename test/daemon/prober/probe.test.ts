import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { probe } from '../../../daemon/prober/probe.ts';
import { CHECKS, type Finding } from '../../../src/validation.ts';
import type { Scope } from '../../support/scope.ts';
import { refusal, startHttp, type StubServer } from './stub-server.ts';
import { failed, failureIn, findingFor, findingsOf, jobOf, VALUES } from './harness.ts';
import { LIST, LOCATION, PROVIDERS, plain, startBucket } from './s3-stub.ts';

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

describe('probe(): the content of the bucket', () => {
  /** Starts a bucket that answers as `act` says where that returns an answer. */
  const startActing = (
    scope: Scope,
    act: (method: string, url: string) => { status: number; body?: string | Buffer } | undefined | 'never',
    options: { readonly onConnection?: () => void; readonly keepAlive?: boolean } = {},
  ): Promise<StubServer> => {
    const sockets = new Set<unknown>();
    return startBucket(scope, (request, response) => {
      const { method = '', url = '' } = request;
      if (options.keepAlive === false) response.setHeader('connection', 'close');
      if (!sockets.has(request.socket)) options.onConnection?.();
      sockets.add(request.socket);
      const acted = act(method, url);
      if (acted !== undefined && acted !== 'never') response.writeHead(acted.status, { etag: '"x"' }).end(acted.body);
      return acted !== undefined;
    });
  };
  const deletesIn = (server: StubServer): string[] => server.seen.filter((request) => request.startsWith('DELETE'));

  it('reports the check of the key, and not that of the clock, if the time for all is up in the first request', async (t) => {
    const late = new AbortController();
    t.mock.method(AbortSignal, 'timeout', () => late.signal);
    const server = await startActing(t, () => {
      late.abort(new DOMException('by the test', 'TimeoutError'));
      return 'never';
    });
    const findings = await findingsOf(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }));
    assert.deepEqual(failureIn(findings), failed('key', 'timed_out'));
    assert.equal(findingFor(findings, 'clock').state, 'skipped');
  });

  it('reconnects to a server that closes every connection after an answer', async (t) => {
    for (const provider of PROVIDERS) {
      let connections = 0;
      const server = await startActing(t, () => undefined, {
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
      const server = await startActing(t, () => undefined, { onConnection: () => (connections += 1) });
      await findingsOf(jobOf(plain(server), { provider }));
      const asked = server.seen.map((request) => request.split(' ', 1)[0]);
      assert.deepEqual(asked, ['GET', 'GET', 'GET', 'GET', 'PUT', 'GET', 'DELETE']);
      assert.equal(connections, 1);
    }
  });

  it('writes with the storage class and encryption of the set, and with a digest', async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startActing(t, () => undefined);
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
      const server = await startActing(t, (method, url) =>
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
      const server = await startActing(t, (method) => (method === 'PUT' ? { status: 500 } : undefined));
      const findings = await findingsOf(jobOf(plain(server), { provider }));
      assert.deepEqual(failureIn(findings), failed('write', 'server_error', { subject: 'HTTP 500' }));
      assert.equal(deletesIn(server).length, 1);
      assert.equal(findingFor(findings, 'delete').reason, 'earlier_failure');
    }
  });

  it('reports the object that it must not delete', async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startActing(t, (method) => (method === 'DELETE' ? { status: 403 } : undefined));
      const findings = await findingsOf(jobOf(plain(server, '/deep'), { provider }));
      assert.equal(failureIn(findings)?.check, 'delete');
      const told = findings.find(({ reason }) => reason === 'leftover_object');
      assert.match(told?.subject ?? '', /^deep\/\.cio-credential-probe-[0-9a-f]{16}$/);
    }
  });

  it('stops reading an endless object', async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startActing(t, (_method, url) =>
        url.endsWith('/config') || url.includes('/config?') ? { status: 200, body: Buffer.alloc(1 << 20) } : undefined,
      );
      const findings = await findingsOf(jobOf(plain(server), { provider, restoreOnly: true }));
      assert.deepEqual(failureIn(findings), failed('repository', 'answer_too_large'));
    }
  });

  it('deletes the probe object if it is cancelled during read_back, and reports the cancellation', async (t) => {
    for (const provider of PROVIDERS) {
      const cancel = new AbortController();
      const server = await startActing(t, (method, url) => {
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
    const server = await startActing(t, () => undefined);
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
