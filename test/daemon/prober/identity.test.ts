import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';

import { metadataServices, type MetadataServices } from '../../../daemon/prober/identity/metadata.ts';
import { describeFinding, type Finding, type ProbeJob } from '../../../src/validation.ts';
import { freePort } from '../../support/free-port.ts';
import { pour } from '../../support/pour.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { refusal, startHttp, startTcp, toThisHost, type Answerer, type StubServer } from './stub-server.ts';
import { failureIn, findingFor, findingsOf, jobOf, suiteScope, VALUES } from './harness.ts';
import { LIST, LOCATION } from './s3-stub.ts';
import { MACHINE_TOKEN, ROLE_KEYS, startMetadata, type MetadataServer } from './metadata-server.ts';

/** A bucket that accepts every key, so that the test can inspect the requests. */
const taking: Answerer = ({ method, url = '' }, response) => {
  if (url.includes('location')) response.end(LOCATION);
  else if (url.includes('list-type')) response.end(LIST);
  else if (method === 'PUT') response.writeHead(200, { etag: '"x"' }).end();
  else response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
};

describe('metadataServices()', () => {
  it('accepts the path of a container agent, and nothing that leads to another server', () => {
    const instance = { address: '169.254.169.254', port: 80 };
    const container = { address: '169.254.170.2', port: 80, path: '/v2/credentials/x' };
    assert.deepEqual(metadataServices('/v2/credentials/x'), { instance, container });
    for (const path of [undefined, '', '/', 'http://evil.test/', '@evil.test/', '/a b', '/a\r\nx: y']) {
      assert.deepEqual(metadataServices(path), { instance }, path);
    }
  });
});

describe("probe() with the machine's identity, for S3", () => {
  const scope = suiteScope(after);
  let metadata: MetadataServer;
  let server: StubServer;

  before(async () => {
    metadata = await startMetadata(scope);
    server = await startHttp(scope, taking);
  });

  const job = (provider: string, rest: Readonly<Record<string, string>> = {}): ProbeJob => {
    const { access_key: _id, secret_key: _secret, ...values } = VALUES;
    const own = { ...values, backup_repo: `s3:http://${server.authority}/bucket-1`, use_iam: 'true', ...rest };
    return { set: provider, provider, restoreOnly: true, makeBucket: false, values: own };
  };

  for (const provider of ['aws', 's3', 'minio']) {
    it(`signs with the keys of the machine's role, with the library for ${provider}`, async () => {
      const asked = metadata.seen.length;
      const known = server.seen.length;
      const findings = await findingsOf(job(provider), { metadata: metadata.services });
      assert.equal(findingFor(findings, 'key').state, 'passed', JSON.stringify(findings));
      assert.deepEqual(
        metadata.seen.slice(asked).map((request) => request.split('\n', 1)[0]),
        [
          'PUT /latest/api/token',
          'GET /latest/meta-data/iam/security-credentials/',
          'GET /latest/meta-data/iam/security-credentials/backup-role',
        ],
      );
      for (const request of server.seen.slice(known)) {
        assert.match(request, new RegExp(`Credential=${ROLE_KEYS.accessKey}/`));
        assert.match(request.toLowerCase(), new RegExp(`x-amz-security-token\n${ROLE_KEYS.sessionToken}\n`));
        assert.ok(!request.includes(ROLE_KEYS.secretKey));
      }
    });
  }

  it("asks for the keys of a task instead of the machine's in a container", async () => {
    const asked = metadata.seen.length;
    const container = { ...metadata.services.instance, path: '/v2/credentials/task' };
    const services: MetadataServices = { instance: { address: '127.0.0.1', port: 1 }, container };
    const findings = await findingsOf(job('aws'), { metadata: services });
    assert.equal(findingFor(findings, 'key').state, 'passed', JSON.stringify(findings));
    assert.equal(metadata.seen.length, asked + 1);
    assert.match(metadata.seen[asked] ?? '', new RegExp(`host\n127\\.0\\.0\\.1:${container.port}\n`, 'i'));
  });

  it('asks only if the set says so, and only once there is a server to send the keys to', async () => {
    const asked = metadata.seen.length;
    const options = { metadata: metadata.services };
    for (const text of ['false', '']) {
      await findingsOf(jobOf({ ...job('s3').values, ...VALUES, use_iam: text }), options);
    }
    const missing = await findingsOf(job('aws', { use_iam: 'false' }), options);
    assert.equal(failureIn(missing)?.reason, 'missing_field');
    const gone = await findingsOf(job('aws', { backup_repo: 's3:http://127.0.0.1:1/bucket-1' }), options);
    assert.equal(failureIn(gone)?.reason, 'connection_refused');
    assert.equal(metadata.seen.length, asked);
  });

  it('refuses a metadata service as the server of a set, whatever keys it uses', async () => {
    for (const host of ['169.254.169.254', '169.254.170.2', '[fd00:ec2::254]']) {
      const findings = await findingsOf(job('aws', { backup_repo: `s3:http://${host}/bucket-1` }));
      assert.equal(failureIn(findings)?.reason, 'address_refused', host);
    }
  });

  it('reports what the server says about the keys as about the identity', async (t) => {
    const cases = [
      ['InvalidAccessKeyId', "the server does not know the machine's identity"],
      ['SignatureDoesNotMatch', "the machine's identity is wrong: the server does not accept what it signs"],
      ['ExpiredToken', "the machine's identity has expired"],
    ] as const;
    for (const [code, what] of cases) {
      const other = await startHttp(t, (request, response, body) =>
        String(request.headers.authorization).includes('CIOUNKNOWN')
          ? refusal('InvalidAccessKeyId')(request, response)
          : void [refusal(code)(request, response), body],
      );
      const values = { backup_repo: `s3:http://${other.authority}/bucket-1` };
      const failure = failureIn(await findingsOf(job('s3', values), { metadata: metadata.services }));
      assert.equal(failure?.field, 'use_iam');
      assert.equal(describeFinding(failure).text, what);
    }
    const denied = await startHttp(t, (request, response) =>
      request.url?.includes('location') === true
        ? void response.end(LOCATION)
        : refusal('AccessDenied')(request, response),
    );
    const values = { backup_repo: `s3:http://${denied.authority}/bucket-1` };
    const failure = failureIn(await findingsOf(job('s3', values), { metadata: metadata.services }));
    assert.equal(failure && describeFinding(failure).text, "the machine's identity has no right to s3:ListBucket");
  });

  it('ends once the job is cancelled, even if the service is silent', async (t) => {
    const cancel = new AbortController();
    const silent = await startTcp(t, (socket) => void socket.once('data', () => cancel.abort()).resume());
    const services: MetadataServices = { instance: { address: '127.0.0.1', port: silent.port } };
    const findings = await findingsOf(job('aws'), { metadata: services, signal: cancel.signal });
    assert.deepEqual(findingFor(findings, 'key'), { check: 'key', state: 'skipped', reason: 'cancelled' });
  });

  describe('without an identity', () => {
    const found = async (services: MetadataServices): Promise<Finding | undefined> => {
      const known = server.seen.length;
      const failure = failureIn(await findingsOf(job('aws'), { metadata: services }));
      // No server got a request with other keys.
      assert.equal(server.seen.length, known);
      return failure;
    };
    const key = (reason: string, subject?: string): object => ({
      check: 'key',
      state: 'failed',
      reason,
      field: 'use_iam',
      ...(subject === undefined ? {} : { subject }),
    });

    it('reports identity_missing if the machine has no role', async (t) => {
      const { services } = await startMetadata(t, ({ url = '' }, response) => {
        if (url.endsWith('/security-credentials/')) response.writeHead(404).end();
      });
      const failure = await found(services);
      assert.deepEqual(failure, key('identity_missing'));
      assert.match(failure ? describeFinding(failure).text : '', /^the machine has no identity/);
    });

    it('reports identity_not_told if nobody listens, answers, or sends anything useful', async (t) => {
      const at = (port: number): MetadataServices => ({ instance: { address: '127.0.0.1', port } });
      assert.deepEqual(await found(at(await freePort())), key('identity_not_told', 'connection refused'));
      const silent = await startTcp(t, (socket) => socket.resume());
      assert.deepEqual(await found(at(silent.port)), key('identity_not_told', 'timed out'));
      const endless = await startTcp(t, (socket) => void socket.once('data', () => sendEndless(socket)));
      assert.deepEqual(await found(at(endless.port)), key('identity_not_told', 'answer too large'));
      const cases: readonly (readonly [Answerer, string])[] = [
        [(_request, response) => response.writeHead(403).end(), 'HTTP 403'],
        [(_request, response) => response.writeHead(302, { location: '/latest' }).end(), 'HTTP 302'],
        [(_request, response) => response.end('<html>a captive portal</html>'), 'unexpected answer'],
        [({ url = '' }, response) => url.endsWith('/token') && response.end('a b'), 'unexpected answer'],
        [({ url = '' }, response) => url.endsWith('-credentials/') && response.end('x/../y'), 'unexpected answer'],
        [({ url = '' }, response) => url.endsWith('-credentials/') && response.end('../x'), 'unexpected answer'],
        [({ url = '' }, response) => url.endsWith('-role') && response.end('{"AccessKeyId":"x"}'), 'unexpected answer'],
      ];
      for (const [answer, subject] of cases) {
        const { services } = await startMetadata(t, answer);
        assert.deepEqual(await found(services), key('identity_not_told', subject));
      }
    });
  });
});

describe("probe() with the machine's identity, for tokens", { skip: skipUnless(command('openssl')) }, () => {
  const scope = suiteScope(after);
  let authority: Authority;
  let metadata: MetadataServer;
  let google: StubServer;
  let azure: StubServer;

  before(async () => {
    authority = await makeAuthority(scope);
    metadata = await startMetadata(scope);
    google = await startHttp(
      scope,
      ({ url = '' }, response) =>
        url.includes('/o?') ? response.end('{"kind":"storage#objects"}') : response.writeHead(404).end('{}'),
      await authority.sign('DNS:storage.googleapis.com'),
    );
    azure = await startHttp(
      scope,
      ({ url = '' }, response) => {
        response.setHeader('x-ms-request-id', '1').setHeader('content-type', 'application/xml');
        if (url.includes('comp=list'))
          response.end(
            '<?xml version="1.0"?><EnumerationResults ContainerName="x"><Blobs/><NextMarker/></EnumerationResults>',
          );
        else response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end();
      },
      await authority.sign('DNS:account.blob.core.windows.net'),
    );
  });

  const jobs = (): Readonly<Record<'google' | 'azure', ProbeJob>> => {
    const rest = { restoreOnly: true, makeBucket: false };
    const own = { use_iam: 'true', backup_password: 'a password' };
    return {
      google: {
        ...rest,
        set: 'google',
        provider: 'google',
        values: {
          ...own,
          backup_repo: 'gs:backup:/',
          project_id: 'project',
          endpoint: `https://storage.googleapis.com:${google.port}`,
        },
      },
      azure: {
        ...rest,
        set: 'azure',
        provider: 'azure',
        values: {
          ...own,
          backup_repo: 'azure:backup:/',
          account_name: 'account',
          endpoint_suffix: `core.windows.net:${azure.port}`,
        },
      },
    };
  };
  const hostServices = (): object => ({
    metadata: metadata.services,
    lookup: toThisHost,
    authorities: authority.certificate,
  });

  for (const provider of ['google', 'azure'] as const) {
    it(`sends the machine's token to the hosts of ${provider}, and needs no key`, async () => {
      const server = provider === 'google' ? google : azure;
      const findings = await findingsOf(jobs()[provider], hostServices());
      assert.equal(failureIn(findings), undefined, JSON.stringify(findings));
      assert.equal(findingFor(findings, 'list').state, 'passed');
      assert.ok(server.seen.length > 0);
      for (const request of server.seen)
        assert.match(request, new RegExp(`authorization\nBearer ${MACHINE_TOKEN}\n`, 'i'));
    });

    it(`sends it to no other host, and not with the set's own certificate authority (${provider})`, async () => {
      const job = jobs()[provider];
      const asked = metadata.seen.length;
      const elsewhere =
        provider === 'google'
          ? (['storage.googleapis.com.evil.test', 'evil-googleapis.com', 'googleapis.com.evil.test'] as const).map(
              (host) => ['endpoint', `https://${host}`] as const,
            )
          : (['evil.test', 'core.windows.net.evil.test', 'evil.core.windows.net'] as const).map(
              (suffix) => ['endpoint_suffix', suffix] as const,
            );
      const cases = [...elsewhere, ['endpoint_ca', authority.certificate], ['skip_verify', 'true']] as const;
      for (const [field, value] of cases) {
        const findings = await findingsOf({ ...job, values: { ...job.values, [field]: value } }, hostServices());
        const expected = { check: 'shape', state: 'failed', reason: 'identity_elsewhere', field, subject: field };
        assert.deepEqual(failureIn(findings), expected);
      }
      assert.equal(metadata.seen.length, asked);
    });

    it(`reports identity_missing if the machine has none (${provider})`, async (t) => {
      const { services } = await startMetadata(t, (_request, response) => response.writeHead(404).end());
      const findings = await findingsOf(jobs()[provider], { ...hostServices(), metadata: services });
      const expected = { check: 'key', state: 'failed', reason: 'identity_missing', field: 'use_iam' };
      assert.deepEqual(failureIn(findings), expected);
    });

    it(`sends nothing that is not a token (${provider})`, async (t) => {
      const server = provider === 'google' ? google : azure;
      const known = server.seen.length;
      const cases: readonly (readonly [Answerer, string])[] = [
        [(_request, response) => response.writeHead(500).end(`{"access_token":"${MACHINE_TOKEN}"}`), 'HTTP 500'],
        [(_request, response) => response.end('{"access_token":"a b"}'), 'unexpected answer'],
        [(_request, response) => response.end('{"access_token":["a"]}'), 'unexpected answer'],
        [(_request, response) => response.end('{}'), 'unexpected answer'],
      ];
      for (const [answer, subject] of cases) {
        const { services } = await startMetadata(t, answer);
        const findings = await findingsOf(jobs()[provider], { ...hostServices(), metadata: services });
        const expected = { check: 'key', state: 'failed', reason: 'identity_not_told', field: 'use_iam', subject };
        assert.deepEqual(failureIn(findings), expected);
      }
      assert.equal(server.seen.length, known);
    });
  }
});

/** Sends an endless body. */
function sendEndless(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\n\r\n');
  const piece = Buffer.alloc(65_536, 'x');
  pour(socket, () => piece);
}
