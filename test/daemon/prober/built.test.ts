import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import type { Finding } from '../../../src/validation.ts';
import { NODE_FLAGS } from '../../support/cio.ts';
import { plainEnvironment, run, runSuccessfully } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { makeAuthority } from './certificates.ts';
import { refusal, startHttp } from './stub-server.ts';
import { failureIn, jobOf, suiteScope } from './harness.ts';
import { messagesIn, ProberChild } from './prober-child.ts';
import { startProxy } from './proxy-server.ts';

const ROOT = path.join(import.meta.dirname, '..', '..', '..');

/** Takes the place of the built prober, and prints how it was run. */
const REPORTER = `process.stdout.write(JSON.stringify({
  version: process.version, argv: process.argv.slice(2), execArgv: process.execArgv, env: process.env,
}));`;

describe('the built prober', () => {
  const scope = suiteScope(after);
  let directory: string;

  before(async () => {
    directory = temporaryDirectory(scope);
    await runSuccessfully([process.execPath, path.join(ROOT, 'tools', 'build-prober.ts'), directory]);
  });

  it("needs no packages beside it, and uses V8's code cache", async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    const caches = fs.readdirSync(directory).filter((file) => file.endsWith(`.${process.arch}.cache`));
    const parts = ['azure', 'failure', 'main', 'minio', 's3'];
    assert.deepEqual(
      caches.toSorted(),
      parts.map((part) => `${part}.${process.arch}.cache`),
    );
    for (const provider of ['s3', 'minio']) {
      const child = new ProberChild(t, {}, [], path.join(directory, 'main.cjs'));
      child.send(`${JSON.stringify(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider }))}\0`);
      assert.equal(await child.ended, 0, child.stderr);
      assert.equal(failureIn(child.findings)?.reason, 'unknown_access_key', child.stdout);
    }
  });

  it('speaks TLS, which it loads only when needed', { skip: skipUnless(command('openssl')) }, async (t) => {
    const authority = await makeAuthority(t);
    const identity = await authority.sign('IP:127.0.0.1,DNS:account.blob.azure.test');
    const server = await startHttp(t, refusal('AuthenticationFailed'), identity);
    const proxy = await startProxy(t);
    const s3 = { backup_repo: `s3:https://${server.authority}/bucket-1`, endpoint_ca: authority.certificate };
    const azure = {
      backup_repo: 'azure:backup:/',
      account_name: 'account',
      account_key: 'a2V5',
      endpoint_suffix: `azure.test:${server.port}`,
      endpoint_ca: authority.certificate,
      proxy: proxy.url,
    };
    for (const [provider, values] of Object.entries({ s3, minio: s3, azure })) {
      const child = new ProberChild(t, {}, [], path.join(directory, 'main.cjs'));
      child.send(`${JSON.stringify(jobOf(values, { provider }))}\0`);
      assert.equal(await child.ended, 0, child.stderr);
      const { check, reason, subject = '' } = failureIn(child.findings) ?? {};
      assert.deepEqual(
        [check, reason],
        ['key', provider === 'azure' ? 'wrong_secret_key' : 'unexpected_answer'],
        subject,
      );
    }
  });

  it('runs without the code caches too, and with invalid ones', async (t) => {
    const copy = temporaryDirectory(t);
    fs.cpSync(directory, copy, { recursive: true });
    for (const part of ['main', 's3'])
      fs.writeFileSync(path.join(copy, `${part}.${process.arch}.cache`), 'x'.repeat(99));
    fs.rmSync(path.join(copy, `minio.${process.arch}.cache`));
    for (const provider of ['s3', 'minio']) {
      const child = new ProberChild(t, {}, [], path.join(copy, 'main.cjs'));
      child.send(`${JSON.stringify(jobOf({}, { provider }))}\0`);
      assert.equal(await child.ended, 0, child.stderr);
      assert.equal(failureIn(child.findings)?.reason, 'connection_refused', child.stdout);
    }
  });
});

describe('bin/cio-credential-prober', () => {
  it("runs the built prober on the pinned Node, without Node's variables from the environment", async (t) => {
    const folder = path.join(temporaryDirectory(t), 'a folder', 'node_modules', 'cio-credentiald');
    fs.cpSync(path.join(ROOT, 'bin'), path.join(folder, 'bin'), { recursive: true });
    fs.mkdirSync(path.join(folder, 'dist', 'prober'), { recursive: true });
    fs.writeFileSync(path.join(folder, 'dist', 'prober', 'main.cjs'), REPORTER);
    const node = path.join(folder, 'node_modules', `node-linux-${process.arch}`, 'bin');
    fs.mkdirSync(node, { recursive: true });
    fs.symlinkSync(process.execPath, path.join(node, 'node'));
    const link = path.join(temporaryDirectory(t), 'prober');
    fs.symlinkSync(path.join(folder, 'bin', 'cio-credential-prober'), link);
    const env = {
      ...plainEnvironment(),
      NODE_OPTIONS: '--require=/nonexistent.js',
      NODE_EXTRA_CA_CERTS: '/nonexistent.pem',
      NODE_DEBUG: 'http,tls',
    };
    const seen = JSON.parse(await runSuccessfully([link], { env })) as {
      readonly version: string;
      readonly argv: readonly string[];
      readonly execArgv: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };
    assert.equal(seen.version, process.version);
    assert.deepEqual(seen.execArgv, ['--disable-sigusr1', ...NODE_FLAGS]);
    for (const name of ['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'NODE_DEBUG']) assert.equal(seen.env[name], undefined);
  });

  it('runs the sources if nothing is built', async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    const folder = path.join(temporaryDirectory(t), 'checkout');
    fs.mkdirSync(folder);
    for (const part of ['bin', 'daemon', 'src', 'node_modules', 'package.json']) {
      fs.symlinkSync(path.join(ROOT, part), path.join(folder, part));
    }
    fs.rmSync(path.join(folder, 'bin'));
    fs.cpSync(path.join(ROOT, 'bin'), path.join(folder, 'bin'), { recursive: true });
    const input = `${JSON.stringify(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }))}\0`;
    const { stdout } = await run([path.join(folder, 'bin', 'cio-credential-prober')], { input });
    // Its input ended with the job, which cancels it: all remaining checks are reported as cancelled.
    const findings = messagesIn(stdout.toString()).slice(0, -1) as Finding[];
    assert.ok(findings.some(({ reason }) => reason === 'cancelled'));
  });
});
