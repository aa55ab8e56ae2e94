import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';

import { CLEAN_UP_MS } from '../../../daemon/prober/limits.ts';
import { probeS3 } from '../../../daemon/prober/probe-s3.ts';
import { Steps } from '../../../daemon/prober/steps.ts';
import { hostServicesOf } from '../../../daemon/prober/host-services.ts';
import type { Finding, ProbeJob } from '../../../src/validation.ts';
import { refusal, startHttp, type StubServer } from './stub-server.ts';
import { failureIn, findingFor, findingsOf, jobOf } from './harness.ts';
import { PROVIDERS, plain, refuse, reset, startBucket, type Fault } from './s3-stub.ts';

const ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code></Error>';

/** Answers the requests with one method, by their count. */
function onlyAt(method: string, answers: readonly (((response: ServerResponse) => void) | undefined)[]): Fault {
  let count = 0;
  return (request, response) => {
    if (request.method !== method) return false;
    const answer = answers[count];
    count += 1;
    answer?.(response);
    return answer !== undefined;
  };
}

const say = (text: string) => (response: ServerResponse) => void response.socket?.end(text);
const nothing = (): void => undefined;

function jobAt(server: StubServer, provider: string, rest: Readonly<Record<string, string>> = {}): ProbeJob {
  return jobOf({ ...plain(server), ...rest }, { provider });
}

function find(server: StubServer, provider: string, rest?: Readonly<Record<string, string>>): Promise<Finding[]> {
  return findingsOf(jobAt(server, provider, rest));
}

/** Returns the name of the object that was reported as left behind. */
function leftoverIn(findings: readonly Finding[]): string | undefined {
  return findings.find(({ reason }) => reason === 'leftover_object')?.subject;
}

describe('probe(): requests that fail halfway', () => {
  it('deletes the probe object with a second request if the first one was lost', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, onlyAt('DELETE', [reset]));
      const findings = await find(bucket, provider);
      assert.deepEqual(failureIn(findings), { check: 'delete', state: 'failed', reason: 'connection_lost' });
      assert.deepEqual([[...bucket.objects.keys()], leftoverIn(findings)], [[], undefined]);
    }
  });

  it('counts the probe object as deleted if the lost request has deleted it', async (t) => {
    for (const provider of PROVIDERS) {
      let lost = 0;
      const bucket = await startBucket(t, ({ method, socket }, _response, objects) => {
        if (method !== 'DELETE' || lost > 0) return false;
        lost += 1;
        objects.clear();
        socket.resetAndDestroy();
        return true;
      });
      const findings = await find(bucket, provider);
      assert.deepEqual([failureIn(findings)?.reason, leftoverIn(findings)], ['connection_lost', undefined]);
      assert.equal(bucket.seen.filter((request) => request.startsWith('DELETE')).length, 2);
    }
  });

  it('reports the probe object if the second request fails as well', async (t) => {
    for (const second of [reset, refuse]) {
      const bucket = await startBucket(t, onlyAt('DELETE', [reset, second]));
      const findings = await find(bucket, 's3');
      assert.equal(failureIn(findings)?.reason, 'connection_lost');
      assert.deepEqual([...bucket.objects.keys()], [`/bucket-1/${leftoverIn(findings)}`]);
    }
  });

  it('reports the probe object if its deletion is not answered', async (t) => {
    const bucket = await startBucket(t, onlyAt('DELETE', [nothing, refuse]));
    const findings = await find(bucket, 's3');
    assert.equal(failureIn(findings)?.reason, 'timed_out');
    assert.deepEqual([...bucket.objects.keys()], [`/bucket-1/${leftoverIn(findings)}`]);
  });

  it('reports the probe object if a lost request may have left an unknown delete marker', async (t) => {
    const deleted = (response: ServerResponse): void =>
      void response.writeHead(204, { 'x-amz-version-id': 'marker-2', 'x-amz-delete-marker': 'true' }).end();
    const bucket = await startBucket(t, onlyAt('DELETE', [reset, deleted]));
    assert.match(leftoverIn(await find(bucket, 's3')) ?? '', /^\.cio-credential-probe-/);
  });

  it('works with a server that closes every connection without saying so', async (t) => {
    for (const provider of PROVIDERS) {
      for (const end of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
        const bucket = await startBucket(t, ({ socket }, response) => {
          response.once('finish', () => setImmediate(end, socket));
          return false;
        });
        const findings = await find(bucket, provider);
        assert.deepEqual([failureIn(findings), findingFor(findings, 'region').state], [undefined, 'passed']);
        assert.deepEqual([[...bucket.objects.keys()], leftoverIn(findings)], [[], undefined]);
        const written = bucket.seen
          .filter((request) => !request.startsWith('GET'))
          .map((request) => request.split(' ')[0]);
        assert.deepEqual(written, ['PUT', 'DELETE']);
      }
    }
  });

  it('retries once over a new connection if a kept one is gone, and not more often', async (t) => {
    const bucket = await startBucket(t, onlyAt('GET', [undefined, reset, reset]));
    const { reason } = findingFor(await find(bucket, 's3', { region: 'us-east-1' }), 'repository');
    assert.equal(reason, 'connection_lost');
  });

  it('names the server if nobody listens there any more', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, ({ url = '' }, response) => {
        response.setHeader('connection', 'close');
        if (url.includes('location')) bucket.stop();
        return false;
      });
      const finding = findingFor(await find(bucket, provider), 'write');
      assert.deepEqual([finding.reason, finding.subject], ['connection_refused', bucket.authority]);
    }
  });

  it('reports an error in the body, whatever the HTTP status', async (t) => {
    for (const provider of PROVIDERS) {
      for (const [method, check] of [
        ['PUT', 'write'],
        ['DELETE', 'delete'],
        ['GET', 'key'],
      ] as const) {
        const fail = (response: ServerResponse): void => void response.writeHead(200, { etag: '"x"' }).end(ERROR);
        const bucket = await startBucket(t, onlyAt(method, [fail, fail, fail, fail]));
        const findings = await find(bucket, provider);
        const expected = { check, state: 'failed', reason: 'server_error', subject: 'InternalError' };
        assert.deepEqual(failureIn(findings), expected, provider);
        const left = [...bucket.objects.keys()].map((name) => name.slice('/bucket-1/'.length));
        assert.deepEqual(
          left,
          [leftoverIn(findings)].filter((name) => name !== undefined),
        );
      }
    }
  });

  it('reports an invalid answer, and does not wait for another', async (t) => {
    const switching = say('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nmore');
    const chunk = say('HTTP/1.1 200 OK\r\netag: "x"\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nmore');
    for (const [answer, subject] of [
      [switching, 'HTTP 101'],
      [chunk, 'HTTP'],
    ] as const) {
      for (const [method, check] of [
        ['GET', 'key'],
        ['PUT', 'write'],
      ] as const) {
        const bucket = await startBucket(t, onlyAt(method, [answer]));
        const findings = await find(bucket, 's3');
        assert.deepEqual(failureIn(findings), { check, state: 'failed', reason: 'unexpected_answer', subject });
        assert.deepEqual([[...bucket.objects.keys()], leftoverIn(findings)], [[], undefined]);
      }
    }
  });

  it('reports an error code that belongs to another request by that code', async (t) => {
    const cases = [
      ['GET', 'key', 'NoSuchKey', 'unexpected_answer', 'NoSuchKey'],
      ['PUT', 'write', 'NoSuchKey', 'unexpected_answer', 'NoSuchKey'],
      ['PUT', 'write', 'BucketAlreadyOwnedByYou', 'unexpected_answer', 'BucketAlreadyOwnedByYou'],
      ['PUT', 'write', 'RequestTimeTooSkewed', 'clock_skewed', 'some'],
    ] as const;
    for (const provider of PROVIDERS) {
      for (const [method, check, code, reason, subject] of cases) {
        const refused = (response: ServerResponse): void => refusal(code, 404)({} as IncomingMessage, response);
        const bucket = await startBucket(t, onlyAt(method, [refused]));
        assert.deepEqual(failureIn(await find(bucket, provider)), { check, state: 'failed', reason, subject });
      }
    }
  });

  it('reports nothing about the keys if the server fails while it is asked which of them is wrong', async (t) => {
    const busy = refusal('SlowDown', 503);
    for (const provider of PROVIDERS) {
      for (const [answer, reason, subject] of [
        [(response: ServerResponse) => busy({} as IncomingMessage, response), 'server_error', 'SlowDown'],
        [reset, 'connection_lost', undefined],
      ] as const) {
        const denied = (response: ServerResponse): void => refusal('AccessDenied')({} as IncomingMessage, response);
        const bucket = await startBucket(t, onlyAt('GET', [denied, denied, answer, answer]));
        const findings = await find(bucket, provider);
        const expected = { check: 'key', state: 'failed', reason, ...(subject === undefined ? {} : { subject }) };
        assert.deepEqual(failureIn(findings), expected);
        assert.equal(findingFor(findings, 'bucket').state, 'skipped');
      }
    }
  });

  it('leaves time to delete the probe object after the time for everything else is over', async (t) => {
    const late = new AbortController();
    const over = new Error('the time is over');
    const bucket = await startBucket(t, ({ method, url = '', socket }, response, objects) => {
      if (method === 'GET' && url.includes('.cio-')) {
        late.abort(over);
        return true;
      }
      if (method !== 'DELETE') return false;
      // Longer than the time after a cancel; a prober that has left by then gets nothing deleted.
      setTimeout(() => {
        if (socket.destroyed) return;
        objects.clear();
        response.writeHead(204).end();
      }, CLEAN_UP_MS * 1.5);
      return true;
    });
    const steps = new Steps(new AbortController().signal, late.signal);
    const findings: Finding[] = [];
    await assert.rejects(async () => {
      for await (const finding of probeS3(jobAt(bucket, 's3'), steps, hostServicesOf())) findings.push(finding);
    }, over);
    assert.deepEqual([[...bucket.objects.keys()], leftoverIn(findings)], [[], undefined]);
  });

  it("retries once on too many requests, and ignores the server's retry-after", async (t) => {
    for (const provider of PROVIDERS) {
      const server = await startHttp(t, (_request, response) =>
        response.writeHead(429, { 'retry-after': '86400' }).end(),
      );
      const expected = { check: 'key', state: 'failed', reason: 'server_error', subject: 'HTTP 429' };
      assert.deepEqual(failureIn(await find(server, provider)), expected);
      assert.equal(server.seen.length, 2);
    }
  });
});

describe('probe(): storage class and encryption', () => {
  const BOTH = { storage_class: 'COLD', sse: 'aws:kms' } as const;
  const HEADERS = { storage_class: 'x-amz-storage-class', sse: 'x-amz-server-side-encryption' } as const;

  /** Refuses requests with one of these headers, with an unspecific code. */
  const refusing =
    (headers: readonly string[], code: string): Fault =>
    (request, response) => {
      const isRefused = request.method === 'PUT' && headers.some((name) => request.headers[name] !== undefined);
      if (isRefused) refusal(code, code === 'NotImplemented' ? 501 : 400)(request, response);
      return isRefused;
    };

  it('blames the setting without which an object can be written, and guesses nothing', async (t) => {
    const cases = [
      [BOTH, ['storage_class'], 'storage_class'],
      [BOTH, ['sse'], 'sse'],
      [BOTH, ['storage_class', 'sse'], 'storage_class'],
      [{ sse: BOTH.sse }, ['sse'], 'sse'],
      [{ storage_class: BOTH.storage_class }, ['storage_class'], 'storage_class'],
    ] as const;
    for (const code of ['InvalidArgument', 'InvalidRequest', 'NotImplemented']) {
      for (const [settings, refused, field] of cases) {
        const names = refused.map((one) => HEADERS[one]);
        const bucket = await startBucket(t, refusing(names, code));
        const findings = await find(bucket, code === 'InvalidRequest' ? 'minio' : 's3', settings);
        const expected = { check: 'write', state: 'failed', reason: 'not_supported', field, subject: BOTH[field] };
        assert.deepEqual(failureIn(findings), expected, code);
        assert.deepEqual([[...bucket.objects.keys()], leftoverIn(findings)], [[], undefined]);
      }
    }
  });

  it('blames neither setting if an object cannot be written without them either', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, refusing(['host'], 'InvalidArgument'));
      const findings = await find(bucket, provider, BOTH);
      const expected = { check: 'write', state: 'failed', reason: 'unexpected_answer', subject: 'InvalidArgument' };
      assert.deepEqual(failureIn(findings), expected);
      assert.equal(bucket.seen.filter((request) => request.startsWith('PUT')).length, 4);
    }
  });

  it('reports the refusal, whatever becomes of an object without the setting', async (t) => {
    for (const provider of PROVIDERS) {
      for (const [code, status, reason, subject, other, otherStatus, deleted] of [
        ['InvalidArgument', 400, 'unexpected_answer', 'InvalidArgument', 'AccessDenied', 403, 1],
        ['NotImplemented', 501, 'not_supported', 's3:PutObject', 'AccessDenied', 403, 0],
        // Nobody knows whether a busy server has written the object.
        ['NotImplemented', 501, 'not_supported', 's3:PutObject', 'SlowDown', 503, 1],
      ] as const) {
        const bucket = await startBucket(t, (request, response) => {
          if (request.method !== 'PUT') return false;
          const isOther = request.headers[HEADERS.sse] === undefined;
          refusal(isOther ? other : code, isOther ? otherStatus : status)(request, response);
          return true;
        });
        const findings = await find(bucket, provider, { sse: BOTH.sse });
        assert.deepEqual(failureIn(findings), { check: 'write', state: 'failed', reason, subject });
        assert.equal(bucket.seen.filter((request) => request.startsWith('DELETE')).length, deleted);
      }
    }
  });

  it('blames a setting even if objects with another one are denied', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, (request, response) => {
        if (request.method !== 'PUT') return false;
        const [isCold, isSealed] = [HEADERS.storage_class, HEADERS.sse].map(
          (name) => request.headers[name] !== undefined,
        );
        if (!isCold) refusal('AccessDenied')(request, response);
        else if (isSealed) refusal('InvalidArgument', 400)(request, response);
        return isSealed || !isCold;
      });
      const { reason, field } = findingFor(await find(bucket, provider, BOTH), 'write');
      assert.deepEqual([reason, field], ['not_supported', 'sse']);
    }
  });

  it('makes no further attempt if the code is specific', async (t) => {
    for (const [code, field] of [
      ['InvalidStorageClass', 'storage_class'],
      ['KMS.DisabledException', 'sse'],
    ] as const) {
      const bucket = await startBucket(t, refusing(['host'], code));
      const { reason, field: blamed } = findingFor(await find(bucket, 's3', BOTH), 'write');
      assert.deepEqual([reason, blamed], ['not_supported', field]);
      assert.equal(bucket.seen.filter((request) => request.startsWith('PUT')).length, 1);
    }
  });
});
