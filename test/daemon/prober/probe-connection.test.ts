import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { freePort } from '../../support/free-port.ts';
import { command, ipv6, skipUnless } from '../../support/requirements.ts';
import type { ServerIdentity } from '../../support/minio-server.ts';
import { makeAuthority, type Authority } from './certificates.ts';
import { lookupOf, refusal, startHttp, startTcp, toThisHost, type StubServer } from './stub-server.ts';
import { failed, failureIn, findingFor, findingsOf, jobOf, suiteScope } from './harness.ts';
import { PROVIDERS, plain } from './s3-stub.ts';

describe('probe(): the connection to the server', { skip: skipUnless(command('openssl')) }, () => {
  const scope = suiteScope(after);
  let authority: Authority;
  let other: Authority;

  before(async () => {
    [authority, other] = await Promise.all([makeAuthority(scope), makeAuthority(scope)]);
  });

  const secure = (
    server: StubServer,
    host = '127.0.0.1',
    rest: Record<string, string> = {},
  ): Record<string, string> => ({
    backup_repo: `s3:https://${host}:${server.port}/bucket-1`,
    endpoint_ca: authority.certificate,
    ...rest,
  });
  const startSecure = (identity: ServerIdentity): Promise<StubServer> =>
    startHttp(scope, refusal('InvalidAccessKeyId'), identity);

  it('refuses the metadata service of a cloud behind a name, unless the set allows it', async () => {
    const lookup = lookupOf('169.254.169.254');
    const values = { backup_repo: 's3:http://metadata.test/bucket-1' };
    const expected = failed('resolve', 'address_refused', { field: 'backup_repo', subject: '169.254.169.254' });
    assert.deepEqual(failureIn(await findingsOf(jobOf(values), { lookup })), expected);
    for (const answer of ['TRUE', 'yes', '1', '']) {
      assert.deepEqual(
        failureIn(await findingsOf(jobOf({ ...values, allow_link_local: answer }), { lookup })),
        expected,
      );
    }
  });

  it('looks the name up once, and connects to that address', async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    let count = 0;
    const lookup = (): Promise<readonly { address: string; family: number }[]> => {
      count += 1;
      return Promise.resolve([{ address: count === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    for (const provider of PROVIDERS) {
      count = 0;
      const job = jobOf({ backup_repo: `s3:http://rebinding.test:${server.port}/bucket-1` }, { provider });
      assert.deepEqual(failureIn(await findingsOf(job, { lookup }))?.reason, 'unknown_access_key');
      assert.equal(count, 1);
    }
    assert.match(server.seen[0] ?? '', /^host\nrebinding\.test:\d+$/im);
  });

  it('closes its connections', { timeout: 30_000 }, async (t) => {
    const body = '<Error><Code>InvalidAccessKeyId</Code></Error>';
    for (const provider of PROVIDERS) {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      const server = await startTcp(t, (socket) => {
        socket.once('close', () => resolve());
        // It would keep the connection open for ever.
        socket.on('data', () => socket.write(`HTTP/1.1 403 No\r\ncontent-length: ${body.length}\r\n\r\n${body}`));
      });
      const job = jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider });
      assert.equal(failureIn(await findingsOf(job))?.reason, 'unknown_access_key');
      await closed;
    }
  });

  it('accepts up to eight informational answers before the final one', async (t) => {
    const body = '<Error><Code>InvalidAccessKeyId</Code></Error>';
    for (const [count, reason] of [
      [8, 'unknown_access_key'],
      [9, 'answer_too_large'],
    ] as const) {
      const server = await startTcp(t, (socket) => {
        socket.on('data', () => {
          socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(count));
          if (count === 8) socket.write(`HTTP/1.1 403 No\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
        });
      });
      for (const provider of PROVIDERS) {
        const job = jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider });
        assert.equal(failureIn(await findingsOf(job))?.reason, reason);
      }
    }
  });

  it('reports connection_refused if nobody listens', async () => {
    const subject = `127.0.0.1:${await freePort()}`;
    const findings = await findingsOf(jobOf({ backup_repo: `s3:http://${subject}/bucket-1` }));
    assert.deepEqual(failureIn(findings), failed('connect', 'connection_refused', { field: 'backup_repo', subject }));
  });

  it('connects to an IPv6 address', { skip: skipUnless(ipv6) }, async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'), undefined, '::1');
    for (const provider of PROVIDERS) {
      const findings = await findingsOf(jobOf(plain(server), { provider }));
      assert.equal(failureIn(findings)?.reason, 'unknown_access_key', JSON.stringify(findings));
    }
    assert.match(server.seen[0] ?? '', /^host\n\[::1\]:\d+$/im);
  });

  it('tries the next address if one refuses', async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    const findings = await findingsOf(jobOf({ backup_repo: `s3:http://two.test:${server.port}/bucket-1` }), {
      lookup: lookupOf('127.0.0.2', '127.0.0.1'),
    });
    assert.equal(findingFor(findings, 'connect').state, 'passed');
  });

  it("accepts a certificate of the set's authority, and no other", async (t) => {
    const server = await startSecure(await authority.sign('IP:127.0.0.1'));
    const findings = await findingsOf(jobOf(secure(server)));
    assert.equal(findingFor(findings, 'tls').state, 'passed');
    assert.equal(failureIn(findings)?.reason, 'unknown_access_key');
    const expected = failed('tls', 'certificate_not_trusted', { field: 'endpoint_ca' });
    for (const values of [
      { endpoint_ca: other.certificate },
      { endpoint_ca: `${other.certificate}${other.certificate}` },
    ]) {
      assert.deepEqual(failureIn(await findingsOf(jobOf(secure(server, '127.0.0.1', values)))), expected);
    }
    const { endpoint_ca: _ca, ...withoutAuthority } = secure(server);
    const before = server.seen.length;
    assert.deepEqual(failureIn(await findingsOf(jobOf(withoutAuthority))), expected);
    assert.equal(server.seen.length, before, 'a request was sent over a connection that nobody vouched for');
    void t;
  });

  it('refuses a self-signed certificate', async () => {
    const server = await startSecure(await selfSigned(scope));
    const { endpoint_ca: _ca, ...values } = secure(server);
    assert.deepEqual(
      failureIn(await findingsOf(jobOf(values))),
      failed('tls', 'certificate_not_trusted', { field: 'endpoint_ca' }),
    );
  });

  it('distinguishes a certificate for another host from an expired one', async () => {
    const elsewhere = await startSecure(await authority.sign('DNS:elsewhere.test'));
    const wrong = failed('tls', 'certificate_wrong_host', { field: 'backup_repo', subject: '127.0.0.1' });
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(elsewhere)))), wrong);
    const right = await findingsOf(jobOf(secure(elsewhere, 'elsewhere.test')), { lookup: toThisHost });
    assert.equal(findingFor(right, 'tls').state, 'passed');
    const expired = await startSecure(await authority.sign('IP:127.0.0.1', -1));
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(expired)))), failed('tls', 'certificate_expired'));
  });

  it('goes on without verification if the set says so, with a warning each time', async () => {
    const server = await startSecure(await other.sign('DNS:elsewhere.test'));
    const findings = await findingsOf(jobOf(secure(server, '127.0.0.1', { skip_verify: 'true' })));
    const expected = {
      check: 'tls',
      state: 'warning',
      reason: 'certificate_not_verified',
      field: 'skip_verify',
      subject: server.authority,
    };
    assert.deepEqual(findingFor(findings, 'tls'), expected);
    assert.equal(failureIn(findings)?.reason, 'unknown_access_key');
    const not = await findingsOf(jobOf(secure(server, '127.0.0.1', { skip_verify: 'yes' })));
    assert.equal(failureIn(not)?.check, 'tls');
  });

  it('reports an authority that is not a certificate', async () => {
    const server = await startSecure(await authority.sign('IP:127.0.0.1'));
    const expected = failed('tls', 'invalid_value', { field: 'endpoint_ca', subject: 'endpoint_ca' });
    for (const text of ['', 'garbage', authority.certificate.slice(0, 300), authority.certificate.replace(/M/g, 'N')]) {
      assert.deepEqual(
        failureIn(await findingsOf(jobOf(secure(server, '127.0.0.1', { endpoint_ca: text })))),
        expected,
      );
    }
  });

  it('distinguishes a server that does not speak TLS from one that ends the connection', async (t) => {
    const http = await startHttp(t, refusal('InvalidAccessKeyId'));
    assert.equal(failureIn(await findingsOf(jobOf(secure(http))))?.reason, 'not_tls');
    const breaking = await startTcp(t, (socket) => socket.once('data', () => socket.destroy()));
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(breaking)))), failed('tls', 'connection_lost'));
    const alert = await startTcp(t, (socket) =>
      socket.once('data', () => socket.end(Buffer.from('15030300020228', 'hex'))),
    );
    assert.deepEqual(failureIn(await findingsOf(jobOf(secure(alert)))), failed('tls', 'tls_failed'));
  });
});

/** Returns a self-signed certificate. */
async function selfSigned(scope: { after(cleanUp: () => void): void }): Promise<ServerIdentity> {
  const authority = await makeAuthority(scope);
  return { certificate: authority.certificate, key: authority.key };
}
