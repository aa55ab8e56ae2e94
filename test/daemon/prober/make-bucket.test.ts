import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Finding, type ProbeJob } from '../../../src/validation.ts';
import type { Scope } from '../../support/scope.ts';
import { refusal, startHttp, type Answerer, type StubServer } from './stub-server.ts';
import { failureIn, findingsOf, jobOf } from './harness.ts';
import { LIST, PROVIDERS, plain } from './s3-stub.ts';

/** Whether the bucket exists, and the requests so far. */
interface Bucket {
  exists: boolean;
  readonly requests: string[];
}

/** Starts a server without a bucket until one is made. `first` may answer before it. */
async function startEmpty(scope: Scope, first: Answerer): Promise<{ server: StubServer; bucket: Bucket }> {
  const bucket: Bucket = { exists: false, requests: [] };
  const server = await startHttp(scope, (request, response, body) => {
    const { method = '', url = '' } = request;
    const isBucket = /^\/bucket-1\/?(?:\?|$)/.test(url);
    bucket.requests.push(`${method} ${isBucket ? 'bucket' : 'object'}`);
    first(request, response, body);
    if (response.headersSent || response.writableEnded) return;
    if (isBucket && method === 'PUT') {
      bucket.exists = true;
      response.end();
    } else if (isBucket && method === 'DELETE') {
      bucket.exists = false;
      response.writeHead(204).end();
    } else if (!bucket.exists) refusal('NoSuchBucket', 404)(request, response);
    else if (url.includes('list-type')) response.end(LIST);
    else if (method === 'PUT') response.writeHead(200, { etag: '"x"' }).end();
    else refusal('AccessDenied')(request, response);
  });
  return { server, bucket };
}

function jobAt(server: StubServer, provider: string): ProbeJob {
  return jobOf({ ...plain(server), region: 'eu-1' }, { provider, makeBucket: true });
}

const deletedOf = ({ requests }: Bucket): string[] => requests.filter((request) => request.startsWith('DELETE'));

const isMake = (method = '', url = ''): boolean => method === 'PUT' && /^\/bucket-1\/?$/.test(url);

for (const provider of PROVIDERS) {
  describe(`probe() that makes a bucket, with the library for ${provider}`, () => {
    it('requests the region of the set for the bucket', async (t) => {
      const bodies: string[] = [];
      const { server } = await startEmpty(t, ({ method, url }, _response, body) => {
        if (isMake(method, url)) bodies.push(body.toString());
      });
      await findingsOf(jobAt(server, provider));
      assert.match(bodies.join(), /<LocationConstraint>eu-1<\/LocationConstraint>/);
    });

    it('deletes the probe object and then the bucket if a check fails or the job is cancelled', async (t) => {
      const { server, bucket } = await startEmpty(t, () => undefined);
      const findings = await findingsOf(jobAt(server, provider));
      assert.equal(failureIn(findings)?.check, 'read_back', JSON.stringify(findings));
      assert.deepEqual(deletedOf(bucket), ['DELETE object', 'DELETE bucket']);
      assert.equal(bucket.exists, false);

      const cancel = new AbortController();
      const late = await startEmpty(t, ({ method, url = '' }) => {
        if (method === 'GET' && url.includes('.cio-credential-probe-')) cancel.abort();
      });
      const cancelled = await findingsOf(jobAt(late.server, provider), { signal: cancel.signal });
      assert.deepEqual(deletedOf(late.bucket), ['DELETE object', 'DELETE bucket']);
      assert.equal(late.bucket.exists, false, JSON.stringify(cancelled));
    });

    it('reports a bucket that it made and cannot delete if a check fails or the job is cancelled', async (t) => {
      const told = { check: 'bucket', state: 'warning', reason: 'leftover_bucket', subject: 'bucket-1' };
      for (const [code, isCancelled, expected] of [
        ['AccessDenied', false, [told]],
        ['AccessDenied', true, [told]],
        ['NoSuchBucket', false, []],
        [undefined, true, []],
      ] as const) {
        const cancel = new AbortController();
        const { server, bucket } = await startEmpty(t, (request, response) => {
          const { method, url = '' } = request;
          if (isCancelled && method === 'GET' && url.includes('.cio-credential-probe-')) cancel.abort();
          if (code !== undefined && method === 'DELETE' && !url.includes('.cio-')) refusal(code)(request, response);
        });
        const findings = await findingsOf(jobAt(server, provider), { signal: cancel.signal });
        assert.equal(bucket.exists, code !== undefined);
        assert.deepEqual(
          findings.filter(({ reason }) => reason === 'leftover_bucket'),
          expected,
        );
      }
    });

    const refusals: readonly (readonly [code: string, status: number, expected: Partial<Finding>])[] = [
      ['BucketAlreadyExists', 409, { reason: 'bucket_taken', field: 'backup_repo', subject: 'bucket-1' }],
      ['AccessDenied', 403, { reason: 'access_denied', subject: 's3:CreateBucket' }],
      ['InvalidLocationConstraint', 400, { reason: 'invalid_value', field: 'region', subject: 'region' }],
      ['TooManyBuckets', 400, { reason: 'unexpected_answer', subject: 'TooManyBuckets' }],
    ];
    for (const [code, status, expected] of refusals) {
      it(`makes none if the server answers ${code}`, async (t) => {
        const { server, bucket } = await startEmpty(t, (request, response) => {
          if (isMake(request.method, request.url)) refusal(code, status)(request, response);
        });
        const failed = (await findingsOf(jobAt(server, provider))).filter(({ state }) => state === 'failed');
        assert.deepEqual(failed, [{ check: 'bucket', state: 'failed', ...expected }]);
        // It deletes only what it made, or may have made.
        const isUncertain = expected.reason === 'unexpected_answer';
        assert.equal(bucket.requests.includes('DELETE bucket'), isUncertain);
      });
    }

    it('accepts its own bucket that appeared meanwhile, and does not delete it', async (t) => {
      const { server, bucket } = await startEmpty(t, (request, response) => {
        if (!isMake(request.method, request.url)) return;
        bucket.exists = true;
        refusal('BucketAlreadyOwnedByYou', 409)(request, response);
      });
      const findings = await findingsOf(jobAt(server, provider));
      assert.deepEqual(
        findings.find(({ check }) => check === 'bucket'),
        { check: 'bucket', state: 'passed' },
      );
      assert.equal(bucket.requests.includes('DELETE bucket'), false);
    });

    it('deletes a bucket that may have been made although the answer was lost', async (t) => {
      const { server, bucket } = await startEmpty(t, (request, response) => {
        if (!isMake(request.method, request.url)) return;
        bucket.exists = true;
        response.socket?.destroy();
      });
      const findings = await findingsOf(jobAt(server, provider));
      assert.equal(failureIn(findings)?.check, 'bucket');
      assert.equal(bucket.exists, false, JSON.stringify(bucket.requests));
    });

    it('makes none unless told to', async (t) => {
      const { server, bucket } = await startEmpty(t, () => undefined);
      for (const rest of [{ makeBucket: false }, { restoreOnly: true }]) {
        const findings = await findingsOf({ ...jobAt(server, provider), ...rest });
        assert.equal(failureIn(findings)?.reason, 'no_such_bucket');
      }
      assert.deepEqual(new Set(bucket.requests), new Set(['GET bucket']));
    });
  });
}
