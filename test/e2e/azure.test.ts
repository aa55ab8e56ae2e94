import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { CHECKS } from '../../src/validation.ts';
import { makeAuthority } from '../daemon/prober/certificates.ts';
import { AZURE_HOST, AZURITE_SERVER, INSIDE, startAzureInside } from '../support/azurite-server.ts';
import { assertUnseen, Canaries } from '../support/canary.ts';
import { cio, CIO_LAUNCHER } from '../support/cio.ts';
import type { CioResult } from '../support/cio.ts';
import { DAEMON_SOURCE, startDaemon } from '../support/daemon.ts';
import { command, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const skip = skipUnless(...AZURITE_SERVER, ...INSIDE, command('restic'), command('rclone'), command('openssl'));

test('restic backs up to an Azure account through `cio credential exec`', { skip }, async (t) => {
  const directory = temporaryDirectory(t);
  const authority = await makeAuthority(t);
  const server = await startAzureInside(t, await authority.sign(`DNS:${AZURE_HOST}`));
  // The daemon runs in the server's namespaces, so that its prober resolves the account's host to this machine as
  // well.
  const daemon = await startDaemon(t, { command: [...server.enter, ...DAEMON_SOURCE] });
  const canaries = new Canaries();
  canaries.add('account key', server.keys[0]);
  const password = canaries.plant('repository password');
  const trusted = path.join(directory, 'ca.crt');
  fs.writeFileSync(trusted, authority.certificate);
  const source = path.join(directory, 'source');
  fs.mkdirSync(source);
  fs.writeFileSync(path.join(source, 'file'), 'content\n');

  const run = (args: readonly string[], stdin = ''): Promise<CioResult> => {
    // The test CA is configured as on any host: by SSL_CERT_FILE, which Go reads.
    const env = { HOME: directory, SSL_CERT_FILE: trusted, AZURE_ACCOUNT_SAS: 'sv=of-the-caller' };
    return cio(['credential', ...args], { command: CIO_LAUNCHER, socketPath: daemon.socketPath, env, stdin });
  };
  const succeed = async (args: readonly string[], stdin?: string): Promise<string> => {
    const { code, stdout, stderr } = await run(args, stdin);
    assert.equal(code, 0, `cio credential ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const exec = (...words: readonly string[]): Promise<string> =>
    succeed(['exec', 'azure', '--', ...server.enter, ...words]);

  await t.test('`create` stores the four credentials of a set', async () => {
    await succeed(['create', 'cio_azure_backup_repo', 'azure:backup:/host-1']);
    await succeed(['create', 'cio_azure_account_name', server.account]);
    await succeed(['create', 'cio_azure_account_key'], server.keys[0]);
    await succeed(['create', 'cio_azure_backup_password'], password);
  });

  await t.test('restic initializes, backs up, checks and restores', async () => {
    assert.match(await exec('restic', 'init'), /created restic repository/);
    await exec('restic', 'backup', source);
    assert.match(await exec('restic', 'check', '--read-data'), /no errors were found/);
    const target = path.join(directory, 'restored');
    await exec('restic', 'restore', 'latest', '--target', target);
    assert.equal(fs.readFileSync(path.join(target, source, 'file'), 'utf8'), 'content\n');
  });

  await t.test('`validate` passes every check up to the repository password', async () => {
    await succeed(['create', 'cio_azure_endpoint_ca'], authority.certificate);
    const report = JSON.parse(await succeed(['validate', 'azure', '--json'])) as {
      readonly sets: readonly [{ readonly findings: readonly { readonly check: string; readonly state: string }[] }];
    };
    const states = new Map(report.sets[0].findings.map(({ check, state }) => [check, state]));
    const expected = CHECKS.map((check) => [check, check === 'region' ? 'skipped' : 'passed']);
    assert.deepEqual([...states], expected);
  });

  await t.test('rclone finds the repository in the remote named azure', async () => {
    const listed = await exec('rclone', '--retries=1', '--low-level-retries=1', 'lsf', 'azure:backup/host-1');
    assert.match(listed, /^snapshots\/$/m);
  });

  await t.test("restic accepts the account's second key, and fails with a wrong one", async () => {
    await succeed(['create', 'cio_azure_account_key', '--replace'], server.keys[1]);
    assert.match(await exec('restic', 'snapshots'), /1 snapshots/);
    await succeed(['create', 'cio_azure_account_key', '--replace'], Buffer.alloc(64).toString('base64'));
    const { code } = await run(['exec', 'azure', '--', ...server.enter, 'restic', '--no-cache', 'snapshots']);
    assert.notEqual(code, 0);
    const { code: validated, stdout, stderr } = await run(['validate', 'azure']);
    assert.equal(validated, EXIT.validationFailed, stderr);
    assert.match(stdout + stderr, /account_key/);
  });

  await t.test("neither the key nor the password is in a file or in the daemon's process", () => {
    assertUnseen(canaries.findInProcess(daemon.pid));
    assertUnseen(canaries.findInFiles(directory));
    assertUnseen(canaries.findInFiles(daemon.stateDirectory));
  });
});
