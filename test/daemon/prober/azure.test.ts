import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { CHECKS, type Finding, type Reason } from '../../../src/validation.ts';
import { AZURITE_HOST, AZURITE_SERVER, startAzurite, type AzuriteServer } from '../../support/azurite-server.ts';
import { pour } from '../../support/pour.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { Containers } from './azure-containers.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { lookupOf, startHttp, type Answerer, type StubServer } from './stub-server.ts';
import { checksIn, failureIn, finderOf, findingFor, findingsOf, suiteScope } from './harness.ts';
import { makeRepository, type RepositoryFiles } from './s3-buckets.ts';

type Values = Readonly<Record<string, string>>;

const PASSWORD = 'the password of the repository';

/** All checks but the shape, which the daemon checks, and the region, which Azure does not need. */
const PROBED = CHECKS.filter((check) => check !== 'shape' && check !== 'region');

const VALUES: Values = {
  backup_repo: 'azure:backup:/host-1',
  account_name: 'cioprobe',
  account_key: Buffer.alloc(64, 'key').toString('base64'),
  backup_password: PASSWORD,
};

const find = finderOf('azure', VALUES);

describe(
  'probe() against Azurite over TLS',
  { skip: skipUnless(...AZURITE_SERVER, command('restic'), command('openssl')) },
  () => {
    const scope = suiteScope(after);
    let authority: Authority;
    let server: AzuriteServer;
    let containers: Containers;
    let container: string;
    let files: RepositoryFiles;

    before(async () => {
      authority = await makeAuthority(scope);
      server = await startAzurite(scope, await authority.sign(`DNS:${AZURITE_HOST},IP:127.0.0.1`));
      containers = new Containers(server, authority.certificate);
      files = await makeRepository(scope, PASSWORD);
      container = await containers.make();
      await containers.putRepository(container, files, 'host-1');
    });

    const values = (rest: Values = {}): Values => ({
      backup_repo: `azure:${container}:/host-1`,
      account_name: server.account,
      account_key: server.keys[0],
      endpoint_suffix: server.suffix,
      endpoint_ca: authority.certificate,
      ...rest,
    });

    it('passes every check of a good set, and leaves nothing behind', async () => {
      const findings = await find(values());
      assert.deepEqual(checksIn(findings, 'passed'), PROBED, JSON.stringify(findings));
      assert.deepEqual(findingFor(findings, 'region'), { check: 'region', state: 'skipped', reason: 'not_needed' });
      const expected = [...files.keys()].map((name) => `host-1/${name}`);
      assert.deepEqual((await containers.namesIn(container)).toSorted(), expected.toSorted());
    });

    it('passes with the other key of the account, and at the root of a container', async () => {
      const root = await containers.make();
      await containers.putRepository(root, files);
      const findings = await find(values({ backup_repo: `azure:${root}:/`, account_key: server.keys[1] }));
      assert.deepEqual(checksIn(findings, 'passed'), PROBED, JSON.stringify(findings));
    });

    it('makes a missing container, and finds it afterwards', async () => {
      const name = `made-${process.pid}`;
      const own = values({ backup_repo: '', bucket: name });
      const made = { check: 'bucket', state: 'passed', reason: 'bucket_made', subject: name };
      const findings = await find(own, { makeBucket: true });
      assert.deepEqual(findingFor(findings, 'bucket'), made);
      assert.equal(findingFor(findings, 'delete').state, 'passed');
      assert.deepEqual(await containers.namesIn(name), []);
      const again = await find(own, { makeBucket: true });
      assert.deepEqual(findingFor(again, 'bucket'), { check: 'bucket', state: 'passed' });
    });

    it('tries as much as possible without a repository, and without a container', async () => {
      const findings = await find(values({ backup_repo: '', bucket: container, prefix: 'host-1' }));
      const repositoryChecks = PROBED.slice(-2);
      assert.deepEqual(checksIn(findings, 'passed'), PROBED.slice(0, -2), JSON.stringify(findings));
      for (const check of repositoryChecks) assert.equal(findingFor(findings, check).reason, 'missing_field');
      const account = await find(values({ backup_repo: '' }));
      assert.deepEqual(checksIn(account, 'passed'), ['resolve', 'connect', 'tls', 'clock', 'key']);
      assert.equal(findingFor(account, 'bucket').field, 'bucket');
      const wrong = await find(values({ backup_repo: '', account_key: Buffer.alloc(64, 'x').toString('base64') }));
      assert.deepEqual([failureIn(wrong)?.check, failureIn(wrong)?.field], ['key', 'account_key']);
    });

    it('writes nothing with restoreOnly', async () => {
      const findings = await find(values(), { restoreOnly: true });
      for (const check of ['write', 'read_back', 'delete'] as const) {
        assert.deepEqual(findingFor(findings, check), { check, state: 'skipped', reason: 'restore_only' });
      }
      assert.equal(findingFor(findings, 'password').state, 'passed');
    });

    it('looks for keys only where restic does: Azure never had a former layout', async () => {
      const once = await containers.make();
      const moved = [...files].map(([name, bytes]) => [name.replace('keys/', 'key/'), bytes] as const);
      await containers.putRepository(once, new Map(moved));
      const failure = failureIn(await find(values({ backup_repo: `azure:${once}:/` })));
      assert.deepEqual(failure, { check: 'password', state: 'failed', reason: 'no_keys' });
    });

    it('names the broken link and the field at fault', async () => {
      const empty = await containers.make();
      const cases: readonly (readonly [rest: Values, expected: Partial<Finding>])[] = [
        // Azurite's code for a wrong key is the one with which Azure's firewall refuses.
        [{ account_key: VALUES['account_key'] ?? '' }, { check: 'key', reason: 'key_rejected', field: 'account_key' }],
        [
          { account_name: 'somebody', skip_verify: 'true' },
          { check: 'key', reason: 'no_such_account', field: 'account_name', subject: 'somebody' },
        ],
        [
          { backup_repo: 'azure:nobody-made-it:/' },
          { check: 'bucket', reason: 'no_such_bucket', field: 'backup_repo', subject: 'nobody-made-it' },
        ],
        [{ backup_password: 'another' }, { check: 'password', reason: 'wrong_password', field: 'backup_password' }],
      ];
      for (const [rest, expected] of cases) {
        assert.deepEqual(failureIn(await find(values(rest))), { state: 'failed', ...expected });
      }
      const nothing = await find(values({ backup_repo: `azure:${empty}:/` }));
      assert.equal(failureIn(nothing), undefined);
      assert.equal(findingFor(nothing, 'repository').reason, 'no_repository');
      const { endpoint_ca: _ca, ...unknown } = values();
      assert.deepEqual(failureIn(await find(unknown)), {
        check: 'tls',
        state: 'failed',
        reason: 'certificate_not_trusted',
        field: 'endpoint_ca',
      });
    });
  },
);

describe('probe() of an azure set with unexpected answers', { skip: skipUnless(command('openssl')) }, () => {
  const scope = suiteScope(after);
  let authority: Authority;

  before(async () => {
    authority = await makeAuthority(scope);
  });

  const start = async (answer: Answerer): Promise<StubServer & { readonly values: Values }> => {
    const server = await startHttp(scope, answer, await authority.sign('DNS:cioprobe.blob.azure.test'));
    const values = { endpoint_suffix: `azure.test:${server.port}`, endpoint_ca: authority.certificate };
    return { ...server, values };
  };

  const refusing =
    (code: string, status: number, headers: Readonly<Record<string, string>> = {}): Answerer =>
    (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/xml', 'x-ms-error-code': code, ...headers });
      response.end(`<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>text</Message></Error>`);
    };

  const codes: readonly (readonly [code: string, status: number, expected: Partial<Finding> & { reason: Reason }])[] = [
    ['AuthenticationFailed', 403, { check: 'key', reason: 'wrong_secret_key', field: 'account_key' }],
    ['KeyBasedAuthenticationNotPermitted', 403, { check: 'key', reason: 'key_rejected', field: 'account_key' }],
    ['AccountIsDisabled', 403, { check: 'key', reason: 'user_suspended' }],
    [
      'AuthorizationPermissionMismatch',
      403,
      { check: 'list', reason: 'access_denied', subject: 'containers/blobs/read' },
    ],
    [
      'ContainerBeingDeleted',
      409,
      { check: 'bucket', reason: 'no_such_bucket', field: 'backup_repo', subject: 'backup' },
    ],
    ['ServerBusy', 503, { check: 'key', reason: 'server_error', subject: 'ServerBusy' }],
    ['SomethingNew', 400, { check: 'key', reason: 'unexpected_answer', subject: 'SomethingNew' }],
    // Codes that belong to other requests.
    ['BlobNotFound', 404, { check: 'key', reason: 'unexpected_answer', subject: 'BlobNotFound' }],
    ['ContainerAlreadyExists', 409, { check: 'key', reason: 'unexpected_answer', subject: 'ContainerAlreadyExists' }],
  ];
  for (const [code, status, expected] of codes) {
    it(`maps ${code} to a finding`, async () => {
      const { values } = await start(refusing(code, status));
      assert.deepEqual(failureIn(await find(values)), { state: 'failed', ...expected });
    });
  }

  it('reports the clock if a wrong one spoils the signature', async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const { values } = await start(refusing('AuthenticationFailed', 403, { date }));
    const failure = failureIn(await find(values));
    assert.equal(failure?.check, 'clock');
    assert.equal(failure?.reason, 'clock_skewed');
  });

  it('retries once on a busy server', async () => {
    const server = await start(refusing('ServerBusy', 503));
    await find(server.values);
    assert.equal(server.seen.length, 2);
  });

  it('follows no redirect, and sends the key to nobody else', async () => {
    const other = await start((_request, response) => response.end());
    const server = await start((_request, response) => {
      response.writeHead(307, { location: `https://cioprobe.blob.azure.test:${other.port}/backup` });
      response.end();
    });
    const findings = await find(server.values);
    assert.deepEqual(failureIn(findings), {
      check: 'key',
      state: 'failed',
      reason: 'redirected',
      field: 'backup_repo',
    });
    assert.deepEqual(other.seen, []);
    assert.ok(!(server.seen.join('') + JSON.stringify(findings)).includes(VALUES['account_key'] ?? ''));
  });

  it('follows no redirect to the same host either: it signs only its own requests', async () => {
    for (const [redirected, check] of [
      ['GET', 'key'],
      ['PUT', 'write'],
      ['DELETE', 'delete'],
    ] as const) {
      for (const status of [300, 301, 302, 307]) {
        const server = await start((request, response, body) => {
          const { method, url = '' } = request;
          response.setHeader('x-ms-request-id', '1').setHeader('content-type', 'application/xml');
          if (method === redirected) response.writeHead(status, { location: '/backup/host-1/config' }).end();
          else if (url.includes('comp=list'))
            response.end('<EnumerationResults ContainerName="x"><Blobs/><NextMarker/></EnumerationResults>');
          else if (method === 'GET') refusing('BlobNotFound', 404)(request, response, body);
          else response.writeHead(method === 'PUT' ? 201 : 202).end();
        });
        const findings = await find(server.values);
        const failure = failureIn(findings.filter((finding) => finding.check === check));
        assert.equal(failure?.reason, 'redirected', `${redirected} ${status}`);
        const asked = server.seen.map((head) => head.split('\n', 1)[0] ?? '');
        const wanted = redirected === 'GET' ? [] : ['GET /backup/host-1/config'];
        assert.deepEqual(
          asked.filter((line) => line.endsWith('/config')),
          wanted,
        );
      }
    }
  });

  it('refuses endless answers and answers of another kind', async () => {
    const endless = await start((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/xml' });
      pour(response, () => ' '.repeat(65_536));
    });
    assert.equal(failureIn(await find(endless.values))?.reason, 'answer_too_large');
    for (const body of ['', 'hello', '<html></html>', '<!DOCTYPE x><EnumerationResults/>']) {
      const portal = await start((_request, response) => response.end(body));
      assert.equal(failureIn(await find(portal.values))?.reason, 'unexpected_answer', body);
    }
  });

  it('deletes a container that it made if a later check fails, unless it has blobs', async () => {
    for (const blobs of ['', '<Blob><Name>of-somebody</Name></Blob>']) {
      let exists = false;
      const server = await start((request, response, body) => {
        const { method, url = '' } = request;
        const isContainer = new URL(url, 'https://server').pathname === '/backup';
        response.setHeader('x-ms-request-id', '1').setHeader('content-type', 'application/xml');
        if (isContainer && method === 'PUT') {
          exists = true;
          response.writeHead(201).end();
        } else if (isContainer && method === 'DELETE') {
          exists = false;
          response.writeHead(202).end();
        } else if (!exists) refusing('ContainerNotFound', 404)(request, response, body);
        else if (!url.includes('comp=list')) refusing('AuthorizationPermissionMismatch', 403)(request, response, body);
        else {
          const list = `<Blobs>${url.includes('prefix=') ? '' : blobs}</Blobs><NextMarker/>`;
          response.end(`<?xml version="1.0"?><EnumerationResults ContainerName="x">${list}</EnumerationResults>`);
        }
      });
      const findings = await find(server.values, { makeBucket: true });
      assert.equal(failureIn(findings)?.check, 'write', JSON.stringify(findings));
      const about = findings.filter(({ check }) => check === 'bucket').map(({ reason }) => reason);
      assert.deepEqual(about, blobs === '' ? ['bucket_made'] : ['bucket_made', 'leftover_bucket']);
      assert.equal(exists, blobs !== '');
    }
  });

  const startVersions = (isFirstUntold: boolean): ReturnType<typeof start> => {
    const stored = new Map<string, Buffer>();
    return start((request, response, body) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'https://server');
      const headers = { etag: '"1"', 'x-ms-request-id': '1', 'x-ms-version-id': '2026-01-01T00:00:00.0000000Z' };
      if (searchParams.get('comp') === 'list') {
        response.writeHead(200, { 'content-type': 'application/xml' });
        response.end(
          '<?xml version="1.0"?><EnumerationResults ContainerName="x"><Blobs/><NextMarker/></EnumerationResults>',
        );
      } else if (request.method === 'PUT') {
        const isUntold = isFirstUntold && stored.size === 0;
        stored.set(pathname, body);
        if (isUntold) refusing('ServerBusy', 503)(request, response, body);
        else response.writeHead(201, headers).end();
      } else if (request.method === 'DELETE') {
        response.writeHead(202, headers).end();
      } else if (stored.has(pathname)) {
        const bytes = stored.get(pathname);
        response.writeHead(200, { ...headers, 'content-length': bytes?.length }).end(bytes);
      } else {
        refusing('BlobNotFound', 404)(request, response, body);
      }
    });
  };

  it('deletes the version that it wrote if the account keeps versions', async () => {
    const server = await startVersions(false);
    const findings = await find(server.values);
    assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
    assert.equal(findingFor(findings, 'delete').state, 'passed');
    const deleted = server.seen.filter((head) => head.startsWith('DELETE')).map((head) => head.split('\n', 1)[0] ?? '');
    assert.equal(deleted.length, 2);
    assert.match(deleted[0] ?? '', /^DELETE \/backup\/host-1\/\.cio-credential-probe-[0-9a-f]{16}$/);
    assert.ok(deleted[1]?.startsWith(`${deleted[0]}?versionid=2026-01-01T00%3A00%3A00.0000000Z`), deleted[1]);
  });

  it('reports the probe object that may have been written twice if the account keeps versions', async () => {
    const server = await startVersions(true);
    const { state, reason, subject = '' } = findingFor(await find(server.values), 'delete');
    assert.deepEqual([state, reason], ['warning', 'leftover_object']);
    assert.match(subject, /^host-1\/\.cio-credential-probe-[0-9a-f]{16}$/);
  });
});

describe('probe() of an azure set, before any server', () => {
  it('reports a name without an address as a missing account', async () => {
    const asked: string[] = [];
    const job = { set: 'azure', provider: 'azure', restoreOnly: false, makeBucket: false, values: VALUES };
    const lookup = (host: string): Promise<never> => {
      asked.push(host);
      return Promise.reject(Object.assign(new Error(host), { code: 'ENOTFOUND' }));
    };
    const expected = { check: 'resolve', state: 'failed', reason: 'no_such_account', field: 'account_name' };
    assert.deepEqual(failureIn(await findingsOf(job, { lookup })), { ...expected, subject: 'cioprobe' });
    const elsewhere = { ...job, values: { ...VALUES, endpoint_suffix: 'azure.test' } };
    const unknown = { ...expected, reason: 'name_not_found', field: 'endpoint_suffix' };
    assert.deepEqual(failureIn(await findingsOf(elsewhere, { lookup })), {
      ...unknown,
      subject: 'cioprobe.blob.azure.test',
    });
    assert.deepEqual(asked, ['cioprobe.blob.core.windows.net', 'cioprobe.blob.azure.test']);
  });

  it('sends nothing to a metadata service', async () => {
    const findings = await find({}, { lookup: lookupOf('169.254.169.254') });
    assert.equal(failureIn(findings)?.reason, 'address_refused');
  });

  it('reports values that are missing, invalid or not supported', async () => {
    const cases: readonly (readonly [values: Values, reason: Reason, field: string])[] = [
      [{ use_iam: 'yes' }, 'invalid_value', 'use_iam'],
      [{ proxy: 'proxy:3128' }, 'invalid_value', 'proxy'],
      [{ backup_repo: '', bucket: 'A' }, 'invalid_value', 'bucket'],
      [{ backup_repo: '', prefix: '../x' }, 'invalid_value', 'prefix'],
      [{ account_key: '' }, 'missing_field', 'account_key'],
      [{ backup_repo: 's3:https://s3.amazonaws.com/bucket' }, 'invalid_value', 'backup_repo'],
      [{ endpoint_suffix: 'a b' }, 'invalid_value', 'endpoint_suffix'],
    ];
    for (const [values, reason, field] of cases) {
      const expected = { check: 'shape', state: 'failed', reason, field, subject: field };
      assert.deepEqual(failureIn(await find(values)), expected);
    }
    assert.notEqual(failureIn(await find({ use_iam: 'false' }, { lookup: lookupOf() }))?.check, 'shape');
  });
});
