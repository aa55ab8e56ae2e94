import assert from 'node:assert/strict';
import https from 'node:https';
import { after, before, describe, it } from 'node:test';

import type { Lookup } from '../../../daemon/prober/network/resolve.ts';
import { CHECKS, type Finding, type Reason } from '../../../src/validation.ts';
import { FAKE_GCS_SERVER, startFakeGcs } from '../../support/fake-gcs-server.ts';
import { pour } from '../../support/pour.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { lookupOf, startHttp, toThisHost, type Answerer, type StubServer } from './stub-server.ts';
import { grantTokens, ServiceAccountKey, TOKEN } from './google-tokens.ts';
import { checksIn, failureIn, finderOf, findingFor, suiteScope } from './harness.ts';
import { makeRepository, type RepositoryFiles } from './s3-buckets.ts';

type Values = Readonly<Record<string, string>>;

const PASSWORD = 'the password of the repository';
const STORAGE_HOST = 'storage.google.test';
const TOKEN_HOST = 'oauth2.google.test';

/** All checks but the shape, which the daemon checks, and the region, which Google never asks for. */
const PROBED = CHECKS.filter((check) => check !== 'shape' && check !== 'region');

/** One key for all tests, since generating a second one takes long. */
const KEY = new ServiceAccountKey();

const VALUES: Values = {
  backup_repo: 'gs:backup:/host-1',
  project_id: 'project',
  service_account: KEY.json(`https://${TOKEN_HOST}/token`),
  backup_password: PASSWORD,
};

const find = finderOf('google', VALUES);

describe('probe() of a google set', { skip: skipUnless(command('openssl')) }, () => {
  const scope = suiteScope(after);
  let authority: Authority;
  let tokens: StubServer;
  let tokenUri: string;

  before(async () => {
    authority = await makeAuthority(scope);
    const identity = await authority.sign(`DNS:${TOKEN_HOST}`);
    tokens = await startHttp(
      scope,
      grantTokens(KEY.publicKey, () => tokenUri),
      identity,
    );
    tokenUri = `https://${TOKEN_HOST}:${tokens.port}/token`;
  });

  const values = (endpoint: string, rest: Values = {}): Values => ({
    endpoint,
    endpoint_ca: authority.certificate,
    service_account: KEY.json(tokenUri),
    ...rest,
  });

  const start = async (answer: Answerer, host = STORAGE_HOST): Promise<StubServer & { readonly url: string }> => {
    const server = await startHttp(scope, answer, await authority.sign(`DNS:${host}`));
    return { ...server, url: `https://${host}:${server.port}` };
  };

  const refusing =
    (status: number, reason: string): Answerer =>
    (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { code: status, message: 'text', errors: [{ reason, message: 'text' }] } }));
    };

  describe('against fake-gcs-server over TLS', { skip: skipUnless(...FAKE_GCS_SERVER, command('restic')) }, () => {
    let url: string;
    let files: RepositoryFiles;

    const send = (method: string, path: string, type: string, body: string | Buffer): Promise<string> =>
      new Promise((resolve, reject) => {
        const address = { host: '127.0.0.1', port: new URL(url).port, servername: STORAGE_HOST };
        const headers = { host: new URL(url).host, 'content-type': type };
        https
          .request({ ...address, ca: authority.certificate, method, path, headers }, (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('end', () => {
              const text = Buffer.concat(chunks).toString();
              if (response.statusCode === 200) resolve(text);
              else reject(new Error(`${path}: ${response.statusCode} ${text}`));
            });
          })
          .on('error', reject)
          .end(body);
      });

    before(async () => {
      url = await startFakeGcs(scope, STORAGE_HOST, await authority.sign(`DNS:${STORAGE_HOST}`));
      files = await makeRepository(scope, PASSWORD);
      const versioning = { enabled: true };
      for (const bucket of [
        { name: 'backup' },
        { name: 'versions', versioning },
        { name: 'empty' },
        { name: 'once' },
      ]) {
        await send('POST', '/storage/v1/b?project=project', 'application/json', JSON.stringify(bucket));
      }
      for (const [name, bytes] of files) {
        for (const place of ['backup/o?uploadType=media&name=host-1/', 'versions/o?uploadType=media&name=']) {
          await send('POST', `/upload/storage/v1/b/${place}${name}`, 'application/octet-stream', bytes);
        }
        const former = name.replace('keys/', 'key/');
        await send('POST', `/upload/storage/v1/b/once/o?uploadType=media&name=${former}`, '', bytes);
      }
    });

    const namesIn = async (bucket: string): Promise<string[]> => {
      const listed = JSON.parse(await send('GET', `/storage/v1/b/${bucket}/o?versions=true`, '', '')) as {
        readonly items?: readonly { readonly name: string }[];
      };
      return (listed.items ?? []).map(({ name }) => name).toSorted();
    };

    it('passes every check of a good set, and leaves nothing behind', async () => {
      const findings = await find(values(url));
      assert.deepEqual(checksIn(findings, 'passed').toSorted(), PROBED.toSorted(), JSON.stringify(findings));
      assert.deepEqual(findingFor(findings, 'region'), { check: 'region', state: 'skipped', reason: 'not_needed' });
      assert.deepEqual(await namesIn('backup'), [...files.keys()].map((name) => `host-1/${name}`).toSorted());
    });

    it('looks for keys only where restic does: Google never had a former layout', async () => {
      const failure = failureIn(await find(values(url, { backup_repo: 'gs:once:/' })));
      assert.deepEqual(failure, { check: 'password', state: 'failed', reason: 'no_keys' });
    });

    it('leaves no version behind in a bucket that keeps them', async () => {
      const findings = await find(values(url, { backup_repo: 'gs:versions:/' }));
      assert.equal(findingFor(findings, 'delete').state, 'passed');
      assert.equal(findingFor(findings, 'password').state, 'passed');
      assert.deepEqual(await namesIn('versions'), [...files.keys()].toSorted());
    });

    it('makes a missing bucket, and finds it afterwards', async () => {
      const own = values(url, { backup_repo: '', bucket: 'made-1' });
      const findings = await find(own, { makeBucket: true });
      const made = { check: 'bucket', state: 'passed', reason: 'bucket_made', subject: 'made-1' };
      assert.deepEqual(findingFor(findings, 'bucket'), made, JSON.stringify(findings));
      assert.equal(findingFor(findings, 'delete').state, 'passed');
      assert.deepEqual(await namesIn('made-1'), []);
      const again = await find(own, { makeBucket: true });
      assert.deepEqual(findingFor(again, 'bucket'), { check: 'bucket', state: 'passed' });
    });

    it('tries as much as possible without a repository, and without a bucket', async () => {
      const findings = await find(values(url, { backup_repo: '', bucket: 'empty' }));
      assert.equal(findingFor(findings, 'delete').state, 'passed', JSON.stringify(findings));
      assert.deepEqual(findingFor(findings, 'password').reason, 'missing_field');
      const account = await find(values(url, { backup_repo: '' }));
      const tried = ['resolve', 'connect', 'tls', 'clock', 'key'];
      assert.deepEqual(checksIn(account, 'passed'), tried, JSON.stringify(account));
      assert.equal(findingFor(account, 'write').field, 'bucket');
    });

    it('writes nothing with restoreOnly', async () => {
      const findings = await find(values(url), { restoreOnly: true });
      assert.deepEqual(findingFor(findings, 'write'), { check: 'write', state: 'skipped', reason: 'restore_only' });
      assert.equal(findingFor(findings, 'password').state, 'passed');
    });

    it('names the broken link and the field at fault', async () => {
      const nobody = { backup_repo: 'gs:nobody-made-it:/' };
      const missing = { check: 'bucket', state: 'failed', reason: 'no_such_bucket', field: 'backup_repo' };
      assert.deepEqual(failureIn(await find(values(url, nobody))), { ...missing, subject: 'nobody-made-it' });
      const wrong = { check: 'password', state: 'failed', reason: 'wrong_password', field: 'backup_password' };
      assert.deepEqual(failureIn(await find(values(url, { backup_password: 'another' }))), wrong);
      const nothing = await find(values(url, { backup_repo: 'gs:empty:/' }));
      assert.equal(failureIn(nothing), undefined);
      assert.equal(findingFor(nothing, 'repository').reason, 'no_repository');
    });
  });

  describe('without a token', () => {
    const cases: readonly (readonly [what: string, account: () => string, reason: Reason])[] = [
      ['a missing account', () => KEY.json(tokenUri, { client_email: 'x@y.org' }), 'unknown_access_key'],
      ['a key of another account', () => new ServiceAccountKey().json(tokenUri), 'wrong_secret_key'],
    ];
    for (const [what, account, reason] of cases) {
      it(`reports ${what}`, async () => {
        const server = await start(refusing(500, 'backendError'));
        const findings = await find(values(server.url, { service_account: account() }));
        assert.deepEqual(failureIn(findings), { check: 'key', state: 'failed', reason, field: 'service_account' });
        assert.deepEqual(server.seen, []);
      });
    }

    it('reports the clock if the assertion is out of its time', async () => {
      const server = await start(refusing(500, 'backendError'));
      const late = await start((_request, response) => {
        response.writeHead(400, { date: new Date(Date.now() - 7_200_000).toUTCString() });
        const error_description =
          'Invalid JWT: Token must be in a reasonable timeframe. Check your iat and exp values.';
        response.end(JSON.stringify({ error: 'invalid_grant', error_description }));
      }, TOKEN_HOST);
      const service_account = KEY.json(`${late.url}/token`);
      const findings = await find(values(server.url, { service_account }));
      const { check, reason, subject } = failureIn(findings) ?? {};
      assert.deepEqual([check, reason], ['clock', 'clock_skewed']);
      assert.ok(Math.abs(Number(subject) - 7200) <= 2, subject);
    });

    it('reports why the token server cannot be reached, and sends nothing to a metadata service', async () => {
      const server = await start(refusing(500, 'backendError'));
      const lookup: Lookup = (host) => (host === TOKEN_HOST ? lookupOf('169.254.169.254') : toThisHost)(host);
      const refused = { check: 'key', state: 'failed', reason: 'address_refused', field: 'service_account' };
      assert.deepEqual(failureIn(await find(values(server.url), { lookup })), {
        ...refused,
        subject: '169.254.169.254',
      });
      const nobody = KEY.json(`https://${STORAGE_HOST}:1/token`);
      const findings = await find(values(server.url, { service_account: nobody }));
      assert.equal(failureIn(findings)?.reason, 'connection_refused');
      assert.equal(failureIn(findings)?.check, 'key');
    });

    it('refuses an answer without a token', async () => {
      const server = await start(refusing(500, 'backendError'));
      for (const body of ['', '[]', '{"access_token":1}', '{"access_token":""}', '{"access_token":"a\\r\\nb: c"}']) {
        const portal = await start((_request, response) => response.end(body), TOKEN_HOST);
        const service_account = KEY.json(`${portal.url}/token`);
        const findings = await find(values(server.url, { service_account }));
        assert.equal(failureIn(findings)?.reason, 'unexpected_answer', body);
      }
      assert.deepEqual(server.seen, []);
    });
  });

  describe('with unexpected answers of the storage', () => {
    const answers: readonly (readonly [status: number, reason: string, expected: Partial<Finding>])[] = [
      [401, 'authError', { check: 'key', reason: 'key_rejected', field: 'service_account' }],
      [403, 'forbidden', { check: 'list', reason: 'access_denied', subject: 'storage.objects.list' }],
      [403, 'userProjectAccountProblem', { check: 'key', reason: 'user_suspended', field: 'service_account' }],
      [404, 'notFound', { check: 'bucket', reason: 'no_such_bucket', field: 'backup_repo', subject: 'backup' }],
      [429, 'rateLimitExceeded', { check: 'key', reason: 'server_error', subject: 'rateLimitExceeded' }],
      [503, 'backendError', { check: 'key', reason: 'server_error', subject: 'backendError' }],
      [400, 'somethingNew', { check: 'key', reason: 'unexpected_answer', subject: 'somethingNew' }],
    ];
    for (const [status, reason, expected] of answers) {
      it(`maps ${status} ${reason} to a finding`, async () => {
        const server = await start(refusing(status, reason));
        assert.deepEqual(failureIn(await find(values(server.url))), { state: 'failed', ...expected });
      });
    }

    it('reports why a bucket cannot be made, and a bucket that it could not delete again', async () => {
      const bodies: string[] = [];
      const startMaking = (reason: string, status: number, isMade = false): ReturnType<typeof start> => {
        let exists = false;
        return start((request, response, body) => {
          const { method, url = '' } = request;
          if (method === 'POST' && url.startsWith('/storage/v1/b?')) {
            if (!isMade) return refusing(status, reason)(request, response, body);
            exists = true;
            bodies.push(body.toString());
            return void response.end('{}');
          }
          if (method === 'GET' && exists) return void response.end('{"kind":"storage#objects"}');
          return refusing(exists ? 403 : 404, exists ? 'forbidden' : 'notFound')(request, response, body);
        });
      };
      const cases = [
        ['conflict', 409, { reason: 'bucket_taken', field: 'backup_repo', subject: 'backup' }],
        ['forbidden', 403, { reason: 'access_denied', subject: 'storage.buckets.create' }],
      ] as const;
      for (const [reason, status, expected] of cases) {
        const server = await startMaking(reason, status);
        const failure = failureIn(await find(values(server.url), { makeBucket: true }));
        assert.deepEqual(failure, { check: 'bucket', state: 'failed', ...expected });
      }
      const server = await startMaking('', 0, true);
      const findings = await find(values(server.url, { region: 'EU' }), { makeBucket: true });
      assert.deepEqual(bodies, ['{"name":"backup","location":"EU"}']);
      assert.equal(failureIn(findings)?.check, 'write');
      const about = findings.filter(({ check }) => check === 'bucket').map(({ reason }) => reason);
      assert.deepEqual(about, ['bucket_made', 'leftover_bucket']);
    });

    it('names the missing right for each request, and the object left behind', async () => {
      const rights = [
        ['POST', 'write', 'storage.objects.create'],
        ['DELETE', 'delete', 'storage.objects.delete'],
      ] as const;
      for (const [refused, check, subject] of rights) {
        const server = await start((request, response, body) => {
          if (request.method === refused) return refusing(403, 'forbidden')(request, response, body);
          if (request.method === 'POST') return void response.end('{"generation":"17"}');
          if (request.url?.includes('alt=media') === true) return void response.writeHead(404).end();
          return void response.end('{"kind":"storage#objects"}');
        });
        const findings = await find(values(server.url));
        const failure = findings.find((finding) => finding.check === check && finding.state === 'failed');
        assert.deepEqual(failure, { check, state: 'failed', reason: 'access_denied', subject });
        const isLeftover = findings.some(({ reason }) => reason === 'leftover_object');
        assert.equal(isLeftover, refused === 'DELETE');
      }
    });

    it('deletes what a failed or lost request wrote, and only that', async () => {
      for (const fault of ['fails', 'is lost', 'is lost before']) {
        // The generations of the object; deleting without a generation would keep the old ones.
        const generations: string[] = [];
        let count = 0;
        const server = await start((request, response, body) => {
          const { method, url = '' } = request;
          const { pathname, searchParams } = new URL(url, 'https://server');
          const answer = { generation: '1' };
          if (method === 'POST') {
            count += 1;
            if (count === 1 && fault === 'is lost before') return void response.destroy();
            if (searchParams.get('ifGenerationMatch') === '0' && generations.length > 0) {
              return refusing(412, 'conditionNotMet')(request, response, body);
            }
            answer.generation = String(count);
            generations.push(answer.generation);
            if (count === 1) return void (fault === 'fails' ? response.writeHead(503).end() : response.destroy());
          } else if (method === 'DELETE') {
            const index = generations.indexOf(searchParams.get('generation') ?? '');
            if (index >= 0) generations.splice(index, 1);
            return void response.writeHead(index < 0 ? 404 : 204).end();
          } else if (pathname.endsWith('/o')) return void response.end('{"kind":"storage#objects"}');
          else if (generations.length === 0 || searchParams.get('alt') === 'media') {
            return void response.writeHead(404).end();
          }
          return void response.end(JSON.stringify(answer));
        });
        const findings = await find(values(server.url));
        assert.equal(
          findingFor(findings, 'write').state,
          fault === 'fails' ? 'passed' : 'failed',
          JSON.stringify(findings),
        );
        assert.deepEqual([generations, findings.some(({ reason }) => reason === 'leftover_object')], [[], false]);
      }
    });

    it('follows no redirect, and sends neither token nor key to anybody else', async () => {
      const other = await start((_request, response) => response.end());
      const server = await start((_request, response) => {
        response.writeHead(302, { location: `${other.url}/storage/v1/b/backup/o` }).end();
      });
      const findings = await find(values(server.url));
      const expected = { check: 'key', state: 'failed', reason: 'redirected', field: 'backup_repo' };
      assert.deepEqual(failureIn(findings), expected);
      assert.deepEqual(other.seen, []);
      assert.ok(server.seen.every((head) => head.toLowerCase().includes(`authorization\nbearer ${TOKEN}`)));
      assert.ok(!JSON.stringify(findings).includes(TOKEN));
      assert.ok(!tokens.seen.join('').includes('PRIVATE KEY'));
    });

    it('refuses endless answers and answers of another kind', async () => {
      const endless = await start((_request, response) => {
        pour(response, () => ' '.repeat(65_536));
      });
      assert.equal(failureIn(await find(values(endless.url)))?.reason, 'answer_too_large');
      for (const body of [
        '',
        'hello',
        '{}',
        '[]',
        '{"kind":"storage#objects","items":[{}]}',
        '{"kind":"storage#objects","items":[null]}',
      ]) {
        const portal = await start((_request, response) => response.end(body));
        assert.equal(failureIn(await find(values(portal.url)))?.reason, 'unexpected_answer', body);
      }
    });
  });

  it('reports values that are missing, invalid or not supported', async () => {
    const elliptic = KEY.json(tokenUri).replace(
      /"private_key":"[^"]+"/,
      '"private_key":"-----BEGIN PRIVATE KEY-----\\nMC4=\\n-----END PRIVATE KEY-----\\n"',
    );
    const cases: readonly (readonly [values: Values, reason: Reason, field: string])[] = [
      [{ use_iam: 'yes' }, 'invalid_value', 'use_iam'],
      [{ backup_repo: '', bucket: 'a b' }, 'invalid_value', 'bucket'],
      [{ service_account: '' }, 'missing_field', 'service_account'],
      [{ service_account: '{}' }, 'invalid_value', 'service_account'],
      [{ backup_repo: 'azure:backup:/' }, 'invalid_value', 'backup_repo'],
      [{ endpoint: 'http://storage.googleapis.com' }, 'invalid_value', 'endpoint'],
    ];
    for (const [values, reason, field] of cases) {
      const expected = { check: 'shape', state: 'failed', reason, field, subject: field };
      assert.deepEqual(failureIn(await find(values)), expected);
    }
    const server = await start(refusing(500, 'backendError'));
    const findings = await find(values(server.url, { service_account: elliptic }));
    const expected = { check: 'key', state: 'failed', reason: 'invalid_value', field: 'service_account' };
    assert.deepEqual(failureIn(findings), { ...expected, subject: 'service_account' });
  });
});
