import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, it } from 'node:test';

import type { Finding } from '../../../src/validation.ts';
import type { Scope } from '../../support/scope.ts';
import { refusal, startHttp, type StubServer } from './stub-server.ts';
import { failureIn, findingFor, findingsOf, jobOf } from './harness.ts';
import { LIST, LOCATION, PROVIDERS, plain, refuse, reset } from './s3-stub.ts';

/**
 * The version ids of each object, the latest last: `v` for contents and `m` for delete markers, numbered together.
 */
type Versions = Map<string, string[]>;

/** Answers a request that was carried out, in place of the bucket; returns false to leave the answer to the bucket. */
type Fault = (request: IncomingMessage, response: ServerResponse, versions: readonly string[]) => boolean;

interface Bucket extends StubServer {
  /** The objects that are left, with their versions. */
  readonly left: () => { readonly name: string; readonly versions: readonly string[] }[];
}

/**
 * Starts a bucket without a repository that keeps versions, like Amazon's. Every request is carried out, whatever is
 * answered; only lost requests are neither carried out nor answered.
 */
async function startBucket(
  scope: Scope,
  fault: Fault,
  isLost: (request: IncomingMessage) => boolean = () => false,
): Promise<Bucket> {
  const all: Versions = new Map();
  const bodies = new Map<string, Buffer>();
  let count = 0;
  const server = await startHttp(scope, (request, response, body) => {
    if (isLost(request)) return;
    const { method = '', url = '' } = request;
    const { pathname, searchParams } = new URL(url, 'http://server');
    const name = pathname.slice('/bucket-1/'.length);
    const versions = all.get(name) ?? [];
    const asked = searchParams.get('versionId');
    let version = asked ?? undefined;
    if (asked !== null)
      all.set(
        name,
        versions.filter((one) => one !== asked),
      );
    else if (method === 'PUT' || method === 'DELETE') {
      count += 1;
      version = (method === 'PUT' ? 'v' : 'm') + String(count);
      bodies.set(version, body);
      all.set(name, [...versions, version]);
    }
    if (fault(request, response, all.get(name) ?? [])) return;
    const latest = versions.at(-1) ?? '';
    const told = version === undefined ? {} : { 'x-amz-version-id': version };
    const marker = version?.startsWith('m') === true ? { 'x-amz-delete-marker': 'true' } : {};
    if (searchParams.has('location')) response.end(LOCATION);
    else if (searchParams.has('list-type')) response.end(LIST);
    else if (method === 'PUT') response.writeHead(200, { etag: '"x"', ...told }).end();
    else if (method === 'DELETE') response.writeHead(204, { ...told, ...marker }).end();
    else if (latest.startsWith('v')) response.end(bodies.get(latest));
    else refusal('NoSuchKey', 404)(request, response);
  });
  const left: Bucket['left'] = () =>
    [...all].filter(([, versions]) => versions.length > 0).map(([name, versions]) => ({ name, versions }));
  return Object.assign(server, { left });
}

type Deed = 'put' | 'hide' | 'purge';

function deedOf({ method, url = '' }: IncomingMessage): Deed | undefined {
  if (method === 'PUT') return 'put';
  if (method !== 'DELETE') return undefined;
  return url.includes('versionId=') ? 'purge' : 'hide';
}

/** Answers the requests for one deed in the given order; the bucket itself answers those without an answer. */
function onlyAt(deed: Deed, answers: readonly (((response: ServerResponse) => void) | undefined)[]): Fault {
  let count = 0;
  return (request, response) => {
    if (deedOf(request) !== deed) return false;
    const answer = answers[count];
    count += 1;
    answer?.(response);
    return answer !== undefined;
  };
}

const fail = (response: ServerResponse): void => void response.writeHead(500).end();

function find(server: StubServer, provider: string, signal?: AbortSignal): Promise<Finding[]> {
  const job = jobOf(plain(server), { provider });
  return findingsOf(job, signal === undefined ? {} : { signal });
}

/** Returns the names of the leftover objects in the findings. */
function leftoversIn(findings: readonly Finding[]): (string | undefined)[] {
  return findings.filter(({ reason }) => reason === 'leftover_object').map(({ subject }) => subject);
}

describe('probe(): the probe object in a bucket with versioning', () => {
  it('leaves nothing behind if nothing goes wrong', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, () => false);
      const findings = await find(bucket, provider);
      assert.equal(findingFor(findings, 'delete').state, 'passed', JSON.stringify(findings));
      assert.deepEqual(bucket.left(), []);
    }
  });

  it('is reported if it may have been written twice, and stays hidden', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, onlyAt('put', [fail]));
      const findings = await find(bucket, provider);
      const [left, ...others] = bucket.left();
      assert.deepEqual(others, []);
      assert.deepEqual(left?.versions, ['v1', 'm3']);
      assert.deepEqual(leftoversIn(findings), [left?.name]);
      assert.equal(findingFor(findings, 'delete').state, 'warning');
    }
  });

  it('is reported if a failed request wrote it and the next one is refused', async (t) => {
    for (const provider of PROVIDERS) {
      const bucket = await startBucket(t, onlyAt('put', [fail, refuse]));
      const findings = await find(bucket, provider);
      assert.equal(failureIn(findings)?.reason, 'key_rejected');
      assert.deepEqual(
        leftoversIn(findings),
        bucket.left().map(({ name }) => name),
      );
    }
  });

  it('is reported if a repeated request left a delete marker of unknown version', async (t) => {
    for (const provider of PROVIDERS) {
      for (const answers of [[fail], [fail, refuse], [reset, refuse]]) {
        const bucket = await startBucket(t, onlyAt('hide', answers));
        const findings = await find(bucket, provider);
        const [left] = bucket.left();
        assert.ok(
          left?.versions.every((version) => version.startsWith('m')),
          JSON.stringify(left),
        );
        assert.deepEqual(leftoversIn(findings), [left?.name]);
      }
    }
  });

  it("is gone if the marker's version is known, even if its removal was cancelled", async (t) => {
    for (const provider of PROVIDERS) {
      const cancel = new AbortController();
      const isLost = (request: IncomingMessage): boolean => {
        if (cancel.signal.aborted || !/versionId=m/.test(request.url ?? '')) return false;
        cancel.abort();
        return true;
      };
      const bucket = await startBucket(t, () => false, isLost);
      const findings = await find(bucket, provider, cancel.signal);
      assert.deepEqual([bucket.left(), leftoversIn(findings)], [[], []]);
    }
  });
});
