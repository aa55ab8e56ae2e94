import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import type { CheckId, Finding } from '../../src/validation.ts';
import { makeAuthority } from '../daemon/prober/certificates.ts';
import { startHttp } from '../daemon/prober/stub-server.ts';
import { grantTokens, RCLONE_SCOPE, ServiceAccountKey } from '../daemon/prober/google-tokens.ts';
import { assertUnseen, Canaries } from '../support/canary.ts';
import { cio, CIO_LAUNCHER } from '../support/cio.ts';
import { startDaemon } from '../support/daemon.ts';
import { FAKE_GCS_SERVER, startFakeGcs } from '../support/fake-gcs-server.ts';
import { command, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const skip = skipUnless(...FAKE_GCS_SERVER, command('rclone'), command('openssl'));

test('a Google set passes validation, and rclone and restic work with it', { skip }, async (t) => {
  const directory = temporaryDirectory(t);
  const authority = await makeAuthority(t);
  const identity = await authority.sign('IP:127.0.0.1,DNS:storage.googleapis.com');
  const key = new ServiceAccountKey();
  const tokens = await startHttp(
    t,
    grantTokens(key.publicKey, () => tokenUri, [RCLONE_SCOPE]),
    identity,
  );
  const tokenUri = `https://127.0.0.1:${tokens.port}/token`;
  const url = await startFakeGcs(t, '127.0.0.1', identity, 'storage.googleapis.com');
  const daemon = await startDaemon(t);
  const trusted = path.join(directory, 'ca.crt');
  fs.writeFileSync(trusted, authority.certificate);
  const canaries = new Canaries();
  const account = key.json(tokenUri, { private_key_id: canaries.plantWord('key id') });

  const run = async (args: readonly string[], stdin = ''): Promise<string> => {
    const env = { HOME: directory, SSL_CERT_FILE: trusted, GOOGLE_APPLICATION_CREDENTIALS: '/nonexistent' };
    const options = { command: CIO_LAUNCHER, socketPath: daemon.socketPath, env, stdin };
    const { code, stdout, stderr } = await cio(['credential', ...args], options);
    assert.equal(code, 0, `cio credential ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const rclone = (...words: readonly string[]): Promise<string> =>
    run(['exec', 'google', '--', 'rclone', '--retries=1', '--low-level-retries=1', ...words]);

  await t.test('`create` stores the four credentials of a set, its endpoint and its CA', async () => {
    await run(['create', 'cio_google_backup_repo', 'gs:backup:/host-1']);
    await run(['create', 'cio_google_project_id', 'project']);
    await run(['create', 'cio_google_service_account'], account);
    await run(['create', 'cio_google_backup_password'], canaries.plant('password'));
    await run(['create', 'cio_google_endpoint', url]);
    await run(['create', 'cio_google_endpoint_ca'], authority.certificate);
  });

  await t.test('rclone gets the service account without a file', async () => {
    await rclone('mkdir', 'google:backup');
    await rclone('copyto', trusted, 'google:backup/host-1/object');
    assert.equal(await rclone('lsf', 'google:backup/host-1'), 'object\n');
  });

  await t.test('`validate` passes every check except for the repository, which does not exist yet', async () => {
    const { sets } = JSON.parse(await run(['validate', 'google', '--json'])) as {
      readonly sets: readonly [{ readonly findings: readonly Finding[] }];
    };
    const stateOf = (check: CheckId): string | undefined => sets[0].findings.find((one) => one.check === check)?.state;
    for (const check of ['shape', 'tls', 'key', 'bucket', 'list', 'write', 'read_back', 'delete'] as const) {
      assert.equal(stateOf(check), 'passed', JSON.stringify(sets));
    }
    assert.equal(stateOf('repository'), 'warning');
    assert.equal(await rclone('lsf', 'google:backup/host-1'), 'object\n');
  });

  await t.test(
    'restic gets the service account and the CA certificate in files that exist in memory only',
    { skip: skipUnless(command('restic')) },
    async (t) => {
      // restic talks to Google's servers only; this proxy redirects it to the test server.
      const proxy = http.createServer().on('connect', (_request, client: net.Socket) => {
        const server = net.connect(Number(new URL(url).port), '127.0.0.1', () => {
          client.write('HTTP/1.1 200 OK\r\n\r\n');
          client.pipe(server).pipe(client);
        });
        for (const socket of [client, server]) socket.on('error', () => socket.destroy());
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      t.after(() => proxy.close());
      await run(['create', 'cio_google_proxy', `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`]);
      const restic = (...words: readonly string[]): Promise<string> =>
        run(['exec', 'google', '--', 'restic', ...words]);
      assert.match(await restic('init'), /created restic repository/);
      await restic('backup', trusted);
      assert.match(await restic('check', '--read-data'), /no errors were found/);
    },
  );

  await t.test("neither the key nor the password is in a file or in the daemon's process", () => {
    assertUnseen(canaries.findInProcess(daemon.pid));
    for (const folder of [directory, daemon.stateDirectory]) assertUnseen(canaries.findInFiles(folder));
  });
});
