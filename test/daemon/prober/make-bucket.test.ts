import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Finding, type ProbeJob } from '../../../src/validation.ts';
import type { Scope } from '../../support/scope.ts';
import { refusal, startHttp, type Answerer, type FarServer } from './far-server.ts';
import { failureIn, findingsOf, jobOf } from './harness.ts';

const LIST = '<ListBucketResult><Name>bucket-1</Name></ListBucketResult>';

/** How far a bucket has come. */
interface Bucket {
  isThere: boolean;
  readonly requests: string[];
}

/** A bucket that is not there, until somebody makes it; another answer comes first. */
async function startEmpty(scope: Scope, first: Answerer): Promise<{ server: FarServer; bucket: Bucket }> {
  const bucket: Bucket = { isThere: false, requests: [] };
  const server = await startHttp(scope, (request, response, body) => {
    const { method = '', url = '' } = request;
    const isBucket = /^\/bucket-1\/?(?:\?|$)/.test(url);
    bucket.requests.push(`${method} ${isBucket ? 'bucket' : 'object'}`);
    first(request, response, body);
    if (response.headersSent || response.writableEnded) return;
    if (isBucket && method === 'PUT') {
      bucket.isThere = true;
      response.end();
    } else if (isBucket && method === 'DELETE') {
      bucket.isThere = false;
      response.writeHead(204).end();
    } else if (!bucket.isThere) refusal('NoSuchBucket', 404)(request, response);
    else if (url.includes('list-type')) response.end(LIST);
    else if (method === 'PUT') response.writeHead(200, { etag: '"x"' }).end();
    else refusal('AccessDenied')(request, response);
  });
  return { server, bucket };
}

function jobAt(server: FarServer, provider: string): ProbeJob {
  const values = { backup_repo: `s3:http://${server.authority}/bucket-1`, region: 'eu-1' };
  return jobOf(values, { provider, makeBucket: true });
}

const deletedOf = ({ requests }: Bucket): string[] => requests.filter((request) => request.startsWith('DELETE'));

const isMake = (method = '', url = ''): boolean => method === 'PUT' && /^\/bucket-1\/?$/.test(url);

for (const provider of ['s3', 'minio'] as const) {
  describe(`probe() that makes a bucket, by the library of ${provider}`, () => {
    it('says the region of the set where it makes one', async (t) => {
      const bodies: string[] = [];
      const { server } = await startEmpty(t, ({ method, url }, _response, body) => {
        if (isMake(method, url)) bodies.push(body.toString());
      });
      await findingsOf(jobAt(server, provider));
      assert.match(bodies.join(), /<LocationConstraint>eu-1<\/LocationConstraint>/);
    });

    it('takes away what it made, and the probe object before it, where a check fails or the job is cancelled', async (t) => {
      const { server, bucket } = await startEmpty(t, () => undefined);
      const findings = await findingsOf(jobAt(server, provider));
      assert.equal(failureIn(findings)?.check, 'read_back', JSON.stringify(findings));
      assert.deepEqual(deletedOf(bucket), ['DELETE object', 'DELETE bucket']);
      assert.equal(bucket.isThere, false);

      const cancel = new AbortController();
      const late = await startEmpty(t, ({ method, url = '' }) => {
        if (method === 'GET' && url.includes('.cio-credential-probe-')) cancel.abort();
      });
      const cancelled = await findingsOf(jobAt(late.server, provider), { signal: cancel.signal });
      assert.deepEqual(deletedOf(late.bucket), ['DELETE object', 'DELETE bucket']);
      assert.equal(late.bucket.isThere, false, JSON.stringify(cancelled));
    });

    it('names what it made and cannot take away, where a check fails or the job is cancelled', async (t) => {
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
        assert.equal(bucket.isThere, code !== undefined);
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
      it(`makes none where the server says ${code}`, async (t) => {
        const { server, bucket } = await startEmpty(t, (request, response) => {
          if (isMake(request.method, request.url)) refusal(code, status)(request, response);
        });
        const failed = (await findingsOf(jobAt(server, provider))).filter(({ state }) => state === 'failed');
        assert.deepEqual(failed, [{ check: 'bucket', state: 'failed', ...expected }]);
        // What it did not make it does not take away, unless nobody knows.
        const isUncertain = expected.reason === 'unexpected_answer';
        assert.equal(bucket.requests.includes('DELETE bucket'), isUncertain);
      });
    }

    it('takes one for its own that came into being meanwhile, and leaves it', async (t) => {
      const { server, bucket } = await startEmpty(t, (request, response) => {
        if (!isMake(request.method, request.url)) return;
        bucket.isThere = true;
        refusal('BucketAlreadyOwnedByYou', 409)(request, response);
      });
      const findings = await findingsOf(jobAt(server, provider));
      assert.deepEqual(
        findings.find(({ check }) => check === 'bucket'),
        { check: 'bucket', state: 'passed' },
      );
      assert.equal(bucket.requests.includes('DELETE bucket'), false);
    });

    it('looks for one that may have been made although the answer never came', async (t) => {
      const { server, bucket } = await startEmpty(t, (request, response) => {
        if (!isMake(request.method, request.url)) return;
        bucket.isThere = true;
        response.socket?.destroy();
      });
      const findings = await findingsOf(jobAt(server, provider));
      assert.equal(failureIn(findings)?.check, 'bucket');
      assert.equal(bucket.isThere, false, JSON.stringify(bucket.requests));
    });

    it('makes none unless it is told to', async (t) => {
      const { server, bucket } = await startEmpty(t, () => undefined);
      for (const rest of [{ makeBucket: false }, { restoreOnly: true }]) {
        const findings = await findingsOf({ ...jobAt(server, provider), ...rest });
        assert.equal(failureIn(findings)?.reason, 'no_such_bucket');
      }
      assert.deepEqual(new Set(bucket.requests), new Set(['GET bucket']));
    });
  });
}
