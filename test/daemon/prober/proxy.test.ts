import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { describeFinding, type Finding } from '../../../src/validation.ts';
import { pour } from '../../support/pour.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { lookupOf, refusal, startHttp, startTcp, type Answerer, type StubServer } from './stub-server.ts';
import { grantTokens, ServiceAccountKey } from './google-tokens.ts';
import { checksIn, failureIn, findingFor, findingsOf, jobOf, suiteScope } from './harness.ts';
import { ProberChild } from './prober-child.ts';
import { startProxy, type ProxyServer } from './proxy-server.ts';

const HOST = 'storage.test';

/** Fails: no name server of this machine knows the servers. */
const noNames = async (host: string): Promise<never> => {
  throw new Error(`${host} was looked up`);
};

/** Looks up no name but the proxy's, which is an address. */
const LOOKUP = lookupOf('127.0.0.1');

/** Returns an S3 bucket with one object. */
function bucket(): Answerer {
  let kept: Uint8Array = Buffer.alloc(0);
  return (request, response, body) => {
    const { method, url = '' } = request;
    if (url.includes('location')) response.end('<LocationConstraint></LocationConstraint>');
    else if (url.includes('list-type')) response.end('<ListBucketResult><Name>b</Name></ListBucketResult>');
    else if (method === 'DELETE') response.writeHead(204).end();
    else if (method === 'PUT') {
      kept = body;
      response.writeHead(200, { etag: '"x"' }).end();
    } else if (url.includes('.cio-credential-probe-')) response.end(kept);
    else refusal('NoSuchKey', 404)(request, response);
  };
}

describe('probe() through a proxy', { skip: skipUnless(command('openssl')) }, () => {
  const scope = suiteScope(after);
  let authority: Authority;
  let proxy: ProxyServer;
  let secure: StubServer;
  let plain: StubServer;

  before(async () => {
    authority = await makeAuthority(scope);
    proxy = await startProxy(scope);
    secure = await startHttp(scope, bucket(), await authority.sign(`DNS:${HOST}`));
    plain = await startHttp(scope, bucket());
  });

  const repository = (isTls: boolean): string =>
    isTls ? `s3:https://${HOST}:${secure.port}/bucket-1` : `s3:http://${HOST}:${plain.port}/bucket-1`;
  const values = (isTls: boolean, rest: Readonly<Record<string, string>> = {}): Record<string, string> => ({
    backup_repo: repository(isTls),
    endpoint_ca: authority.certificate,
    proxy: proxy.url,
    ...rest,
  });

  const by = (proxy: ProxyServer, check: Finding['check']): Finding => ({
    check,
    state: 'passed',
    reason: 'by_proxy',
    subject: proxy.authority,
  });

  for (const provider of ['s3', 'minio'] as const) {
    it(`opens a tunnel to a TLS server, and reports the proxy, with the library for ${provider}`, async () => {
      const [before, urls] = [proxy.tunnels.length, proxy.urls.length];
      const findings = await findingsOf(jobOf(values(true), { provider }), { lookup: LOOKUP });
      for (const check of ['resolve', 'connect', 'tls'] as const) {
        assert.deepEqual(findingFor(findings, check), by(proxy, check));
      }
      assert.equal(describeFinding(findingFor(findings, 'tls')).text, `through the proxy ${proxy.authority}`);
      assert.deepEqual(checksIn(findings, 'failed'), [], JSON.stringify(findings));
      assert.equal(findingFor(findings, 'delete').state, 'passed');
      // One connection serves all requests.
      assert.deepEqual(proxy.tunnels.slice(before), [`${HOST}:${secure.port}`]);
      assert.equal(proxy.urls.length, urls);
    });

    it(`sends whole URLs for a server without TLS, with the library for ${provider}`, async () => {
      const [before, tunnels, seen] = [proxy.urls.length, proxy.tunnels.length, plain.seen.length];
      const findings = await findingsOf(jobOf(values(false), { provider }), { lookup: LOOKUP });
      assert.deepEqual(checksIn(findings, 'failed'), [], JSON.stringify(findings));
      assert.deepEqual(findingFor(findings, 'connect'), by(proxy, 'connect'));
      assert.equal(findingFor(findings, 'tls').reason, 'not_needed');
      const urls = proxy.urls.slice(before);
      assert.ok(urls.length >= 5 && urls.every((url) => url.startsWith(`http://${HOST}:${plain.port}/bucket-1`)));
      assert.equal(plain.seen.length - seen, urls.length);
      assert.equal(proxy.tunnels.length, tunnels);
    });
  }

  it('opens a new tunnel, with TLS, for a server that closes every connection', async () => {
    const answer = bucket();
    const ending = await startHttp(
      scope,
      (request, response, body) => {
        response.setHeader('connection', 'close');
        answer(request, response, body);
      },
      await authority.sign(`DNS:${HOST}`),
    );
    const own = { backup_repo: `s3:https://${HOST}:${ending.port}/bucket-1`, endpoint_ca: authority.certificate };
    for (const rest of [{}, { proxy: proxy.url }]) {
      const [seen, tunnels] = [ending.seen.length, proxy.tunnels.length];
      const findings = await findingsOf(jobOf({ ...own, ...rest }), { lookup: LOOKUP });
      assert.deepEqual(checksIn(findings, 'failed'), [], JSON.stringify(findings));
      const requests = ending.seen.slice(seen);
      assert.ok(requests.length > 4 && requests.every((head) => /^[A-Z]+ \/bucket-1/.test(head)));
      assert.equal(proxy.tunnels.length - tunnels, 'proxy' in rest ? requests.length : 0);
    }
  });

  it('connects to a proxy by TLS, and reports it if its certificate is for another host', async () => {
    const safe = await startProxy(scope, { identity: await authority.sign('IP:127.0.0.1') });
    for (const isTls of [true, false]) {
      const findings = await findingsOf(jobOf(values(isTls, { proxy: safe.url })), { lookup: LOOKUP });
      assert.deepEqual(checksIn(findings, 'failed'), [], JSON.stringify(findings));
    }
    assert.equal(safe.tunnels.length, 1);
    const other = await startProxy(scope, { identity: await authority.sign('DNS:other.test') });
    const findings = await findingsOf(jobOf(values(true, { proxy: other.url })), { lookup: LOOKUP });
    const expected = { check: 'connect', state: 'failed', reason: 'certificate_wrong_host', field: 'proxy' };
    assert.deepEqual(failureIn(findings), { ...expected, subject: '127.0.0.1' });
  });

  it('reports a proxy that is not there, or refuses to connect to the server', async () => {
    const lookup = LOOKUP;
    const gone = await findingsOf(jobOf(values(true, { proxy: 'http://127.0.0.1:1' })), { lookup });
    const broken = { state: 'failed', field: 'proxy' };
    const refused = { ...broken, check: 'connect', reason: 'connection_refused', subject: '127.0.0.1:1' };
    assert.deepEqual(failureIn(gone), refused);
    for (const status of [102, 300, 403, 407, 502]) {
      const refusing = await startProxy(scope, { refusal: status });
      const findings = await findingsOf(jobOf(values(true, { proxy: refusing.url })), { lookup });
      const expected = { ...broken, check: 'connect', reason: 'proxy_refused', subject: `HTTP ${status}` };
      assert.deepEqual(failureIn(findings), expected);
    }
    const asking = await startProxy(scope, { refusal: 407 });
    const findings = await findingsOf(jobOf(values(false, { proxy: asking.url })), { lookup });
    assert.deepEqual(failureIn(findings), { ...broken, check: 'key', reason: 'proxy_refused', subject: 'HTTP 407' });
    const unknown = await findingsOf(jobOf(values(true, { proxy: 'http://proxy.test' })), { lookup: lookupOf() });
    const expected = { ...broken, check: 'resolve', reason: 'name_not_found', subject: 'proxy.test' };
    assert.deepEqual(failureIn(unknown), expected);
  });

  it('reads only a limited answer from a proxy', async () => {
    const flood = await startTcp(scope, (socket) => {
      socket.once('data', () => {
        const chunk = Buffer.from(`x: ${'y'.repeat(1000)}\r\n`.repeat(64));
        socket.write('HTTP/1.1 200 OK\r\n');
        pour(socket, () => chunk);
      });
    });
    const findings = await findingsOf(jobOf(values(true, { proxy: `http://${flood.authority}` })), { lookup: LOOKUP });
    assert.deepEqual(failureIn(findings), { check: 'connect', state: 'failed', reason: 'answer_too_large' });
    const nonsense = await startTcp(scope, (socket) => void socket.once('data', () => socket.end('hello\r\n\r\n')));
    const other = await findingsOf(jobOf(values(true, { proxy: `http://${nonsense.authority}` })), { lookup: LOOKUP });
    assert.equal(failureIn(other)?.reason, 'unexpected_answer');
  });

  it("closes the connection to a proxy that refuses, and drops no data behind the proxy's 200", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const refusing = await startTcp(scope, (socket) => {
      socket.once('close', () => resolve());
      socket.once('data', () => socket.write('HTTP/1.1 403 No\r\n\r\n'));
    });
    await findingsOf(jobOf(values(true, { proxy: `http://${refusing.authority}` })), { lookup: LOOKUP });
    await closed;
    const talking = await startTcp(scope, (socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nwelcome to the other side'));
    });
    const findings = await findingsOf(jobOf(values(true, { proxy: `http://${talking.authority}` })), {
      lookup: LOOKUP,
    });
    assert.deepEqual([failureIn(findings)?.check, failureIn(findings)?.reason], ['tls', 'not_tls']);
  });

  it('refuses a metadata service, as a proxy or behind one', async () => {
    const behind = proxy.tunnels.length + proxy.urls.length;
    for (const host of [
      '169.254.169.254',
      '169.254.169.254.',
      '169.254.43518',
      '0xA9FEA9FE',
      '2852039166',
      '0251.0376.0251.0376',
      '[::ffff:a9fe:a9fe]',
      '[::FFFF:169.254.169.254]',
      '[fd00:ec2::254]',
      '[fe80::1]',
    ]) {
      const findings = await findingsOf(jobOf(values(false, { backup_repo: `s3:http://${host}/bucket-1` })), {
        lookup: LOOKUP,
      });
      assert.deepEqual([failureIn(findings)?.check, failureIn(findings)?.reason], ['resolve', 'address_refused'], host);
      assert.equal(failureIn(findings)?.field, 'backup_repo');
    }
    assert.equal(proxy.tunnels.length + proxy.urls.length, behind);
    const findings = await findingsOf(jobOf(values(true, { proxy: 'http://proxy.test' })), {
      lookup: lookupOf('169.254.169.254'),
    });
    const expected = { check: 'resolve', state: 'failed', reason: 'address_refused', field: 'proxy' };
    assert.deepEqual(failureIn(findings), { ...expected, subject: '169.254.169.254' });
  });

  it('reaches other addresses through the proxy, and link-local ones if the set allows it', async () => {
    for (const provider of ['s3', 'minio'] as const) {
      for (const [host, rest] of [
        ['127.0.0.1', {}],
        ['[::1]', {}],
        ['169.254.169.254', { allow_link_local: 'true' }],
      ] as const) {
        const before = proxy.urls.length;
        const own = values(false, { backup_repo: `s3:http://${host}:${plain.port}/bucket-1`, ...rest });
        const findings = await findingsOf(jobOf(own, { provider }), { lookup: LOOKUP });
        assert.deepEqual(checksIn(findings, 'failed'), [], JSON.stringify(findings));
        const urls = proxy.urls.slice(before);
        assert.ok(urls.length >= 5 && urls.every((url) => url.startsWith(`http://${host}:${plain.port}/bucket-1`)));
      }
    }
  });

  it('connects to the first looked-up address each time, of a server or a proxy', async () => {
    const answer = bucket();
    const server = await startHttp(scope, (request, response, body) => {
      response.setHeader('connection', 'close');
      answer(request, response, body);
    });
    for (const provider of ['s3', 'minio'] as const) {
      for (const own of [
        { backup_repo: `s3:http://rebinding.test:${server.port}/bucket-1` },
        { backup_repo: `s3:http://${HOST}/bucket-1`, proxy: `http://rebinding.test:${server.port}` },
      ]) {
        const asked: string[] = [];
        const before = server.seen.length;
        const lookup = (host: string): ReturnType<typeof LOOKUP> =>
          lookupOf(asked.push(host) === 1 ? '127.0.0.1' : '169.254.169.254')(host);
        const findings = await findingsOf(jobOf(own, { provider }), { lookup });
        assert.deepEqual(checksIn(findings, 'failed'), [], JSON.stringify(findings));
        assert.deepEqual(asked, ['rebinding.test']);
        // Each on its own connection.
        assert.ok(server.seen.length - before >= 5);
      }
    }
  });

  it('follows no redirect behind a proxy', async () => {
    const thief = await startHttp(scope, (_request, response) => response.end());
    const server = await startHttp(scope, (_request, response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${thief.port}/` }).end(),
    );
    const own = values(false, { backup_repo: `s3:http://${HOST}:${server.port}/bucket-1` });
    assert.equal(failureIn(await findingsOf(jobOf(own), { lookup: LOOKUP }))?.reason, 'redirected');
    assert.deepEqual(thief.seen, []);
  });

  it("is used for Azure, Google and Google's token server", async () => {
    const azure = await startHttp(
      scope,
      (_request, response) => response.writeHead(403, { 'x-ms-error-code': 'AccountIsDisabled' }).end(),
      await authority.sign('DNS:account.blob.azure.test'),
    );
    const key = new ServiceAccountKey();
    let tokenUri = '';
    const tokens = await startHttp(
      scope,
      grantTokens(key.publicKey, () => tokenUri),
      await authority.sign('DNS:tokens.test'),
    );
    tokenUri = `https://tokens.test:${tokens.port}/token`;
    const google = await startHttp(
      scope,
      (_request, response) => response.writeHead(404).end('{"error":{"errors":[{"reason":"notFound"}]}}'),
      await authority.sign(`DNS:${HOST}`),
    );
    const own = { endpoint_ca: authority.certificate, proxy: proxy.url };
    const before = proxy.tunnels.length;
    const rest = { restoreOnly: false, makeBucket: false };
    const account = { account_name: 'account', account_key: 'a2V5', endpoint_suffix: `azure.test:${azure.port}` };
    const suspended = await findingsOf(
      { ...rest, set: 'azure', provider: 'azure', values: { ...own, ...account, backup_repo: 'azure:backup:/' } },
      { lookup: LOOKUP },
    );
    assert.equal(failureIn(suspended)?.reason, 'user_suspended', JSON.stringify(suspended));
    const service = { service_account: key.json(tokenUri), endpoint: `https://${HOST}:${google.port}` };
    const absent = await findingsOf(
      { ...rest, set: 'google', provider: 'google', values: { ...own, ...service, backup_repo: 'gs:backup:/' } },
      { lookup: LOOKUP },
    );
    assert.equal(failureIn(absent)?.reason, 'no_such_bucket', JSON.stringify(absent));
    assert.deepEqual(proxy.tunnels.slice(before), [
      `account.blob.azure.test:${azure.port}`,
      `${HOST}:${google.port}`,
      `tokens.test:${tokens.port}`,
    ]);
  });

  it('looks up no name behind the proxy, and uses no proxy that the set does not name', async (t) => {
    const lookup = async (host: string): ReturnType<typeof LOOKUP> =>
      host === '127.0.0.1' ? LOOKUP(host) : noNames(host);
    assert.equal(failureIn(await findingsOf(jobOf(values(true)), { lookup })), undefined);
    const before = proxy.tunnels.length + proxy.urls.length;
    const ambient = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, NODE_USE_ENV_PROXY: '1', ALL_PROXY: proxy.url };
    const child = new ProberChild(t, ambient);
    child.send(`${JSON.stringify(jobOf({ backup_repo: `s3:http://${plain.authority}/bucket-1` }))}\0`);
    assert.equal(await child.ended, 0);
    assert.equal(failureIn(child.findings), undefined, child.stdout);
    assert.equal(proxy.tunnels.length + proxy.urls.length, before);
  });
});
