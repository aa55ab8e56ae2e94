import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, it } from 'node:test';

import type { Finding } from '../../../src/validation.ts';
import type { Scope } from '../../support/scope.ts';
import { refusal, startHttp, type FarServer } from './far-server.ts';
import { failureIn, findingFor, findingsOf, jobOf } from './harness.ts';

const PROVIDERS = ['s3', 'minio'] as const;
const LIST = '<ListBucketResult><Name>bucket-1</Name></ListBucketResult>';
const ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code></Error>';

/** Answers a request in place of the bucket, and says so. */
type Fault = (request: IncomingMessage, response: ServerResponse, objects: Map<string, Buffer>) => boolean;

interface Bucket extends FarServer {
  readonly objects: ReadonlyMap<string, Buffer>;
}

/** A bucket without a repository. What is put arrives, whatever the answer to it is. */
async function startBucket(scope: Scope, fault: Fault): Promise<Bucket> {
  const objects = new Map<string, Buffer>();
  const server = await startHttp(scope, (request, response, body) => {
    const { method, url = '' } = request;
    const name = url.split('?', 1)[0] ?? '';
    if (method === 'PUT') objects.set(name, body);
    if (fault(request, response, objects)) return;
    const object = objects.get(name);
    if (url.includes('location')) response.end('<LocationConstraint></LocationConstraint>');
    else if (url.includes('list-type')) response.end(LIST);
    else if (method === 'PUT') response.writeHead(200, { etag: '"x"' }).end();
    else if (method === 'DELETE' && objects.delete(name)) response.writeHead(204).end();
    else if (object !== undefined) response.end(object);
    else refusal('NoSuchKey', 404)(request, response);
  });
  return Object.assign(server, { objects });
}

/** What becomes of the requests with one method, by their count. */
function onlyAt(method: string, answers: readonly ((response: ServerResponse) => void)[]): Fault {
  let count = 0;
  return (request, response) => {
    if (request.method !== method) return false;
    const answer = answers[count];
    count += 1;
    answer?.(response);
    return answer !== undefined;
  };
}

const reset = ({ socket }: ServerResponse): void => void socket?.resetAndDestroy();
const refuse = (response: ServerResponse): void => void response.writeHead(403).end();
const say = (text: string) => (response: ServerResponse) => void response.socket?.end(text);
const nothing = (): void => undefined;

function find(server: FarServer, provider: string, rest: Readonly<Record<string, string>> = {}): Promise<Finding[]> {
  return findingsOf(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1`, ...rest }, { provider }));
}

/** The name of the object that stays behind, as it was told. */
function leftoverIn(findings: readonly Finding[]): string | undefined {
  return findings.find(({ reason }) => reason === 'leftover_object')?.subject;
}

describe('probe(): a request that goes wrong halfway', () => {
  it('deletes the probe object by a second request where the first one was lost', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, onlyAt('DELETE', [reset]));
      const findings = await find(bucket, provider);
      assert.deepEqual(failureIn(findings), { check: 'delete', state: 'failed', reason: 'connection_lost' });
      assert.deepEqual([[...bucket.objects.keys()], leftoverIn(findings)], [[], undefined]);
    }
  });

  it('takes the probe object for gone where the lost request has deleted it', async (t) => {
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

  it('names the probe object where the second request fails as well', async (t) => {
    for (const second of [reset, refuse]) {
      const bucket = await startBucket(t, onlyAt('DELETE', [reset, second]));
      const findings = await find(bucket, 's3');
      assert.equal(failureIn(findings)?.reason, 'connection_lost');
      assert.deepEqual([...bucket.objects.keys()], [`/bucket-1/${leftoverIn(findings)}`]);
    }
  });

  it('names the probe object where nobody answers its deletion', async (t) => {
    const bucket = await startBucket(t, onlyAt('DELETE', [nothing, refuse]));
    const findings = await find(bucket, 's3');
    assert.equal(failureIn(findings)?.reason, 'timed_out');
    assert.deepEqual([...bucket.objects.keys()], [`/bucket-1/${leftoverIn(findings)}`]);
  });

  it('names the probe object where a lost request may have left a marker that nobody knows', async (t) => {
    const deleted = (response: ServerResponse): void =>
      void response.writeHead(204, { 'x-amz-version-id': 'marker-2', 'x-amz-delete-marker': 'true' }).end();
    const bucket = await startBucket(t, onlyAt('DELETE', [reset, deleted]));
    assert.match(leftoverIn(await find(bucket, 's3')) ?? '', /^\.cio-credential-probe-/);
  });

  it('takes an error for one, whatever the status of the answer is', async (t) => {
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

  it('is told of an answer that is none, and does not wait for another', async (t) => {
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

  it('is made once more, and not when the server would like, where there are too many', async (t) => {
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

describe('probe(): how the set wants objects to be kept', () => {
  const BOTH = { storage_class: 'COLD', sse: 'aws:kms' } as const;
  const HEADERS = { storage_class: 'x-amz-storage-class', sse: 'x-amz-server-side-encryption' } as const;

  /** Refuses what has one of these headers, by a code that says little. */
  const refusing =
    (headers: readonly string[], code: string): Fault =>
    (request, response) => {
      const isRefused = request.method === 'PUT' && headers.some((name) => request.headers[name] !== undefined);
      if (isRefused) refusal(code, code === 'NotImplemented' ? 501 : 400)(request, response);
      return isRefused;
    };

  it('blames what an object can be written without, and nothing by a guess', async (t) => {
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

  it('blames none where an object cannot be written without them either', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, refusing(['host'], 'InvalidArgument'));
      const findings = await find(bucket, provider, BOTH);
      const expected = { check: 'write', state: 'failed', reason: 'unexpected_answer', subject: 'InvalidArgument' };
      assert.deepEqual(failureIn(findings), expected);
      assert.equal(bucket.seen.filter((request) => request.startsWith('PUT')).length, 4);
    }
  });

  it('tells the refusal, whatever else becomes of an object without them', async (t) => {
    for (const provider of PROVIDERS) {
      for (const [code, status, reason, subject, other, otherStatus, deleted] of [
        ['InvalidArgument', 400, 'unexpected_answer', 'InvalidArgument', 'AccessDenied', 403, 1],
        ['NotImplemented', 501, 'not_supported', 's3:PutObject', 'AccessDenied', 403, 0],
        // What a busy server has done nobody knows.
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

  it('blames a setting where objects with another one are denied', async (t) => {
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

  it('asks no more where the code is clear', async (t) => {
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
