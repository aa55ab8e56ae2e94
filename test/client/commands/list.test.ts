import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { parse } from 'yaml';
import { connect } from '../../../client/index.ts';
import { EXIT } from '../../../src/errors.ts';
import { skipUnless } from '../../support/requirements.ts';
import { message, Peer } from '../peer.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness, newName, newSetName } from './harness.ts';

const harness = await Harness.start({ after });

async function store(set: string, values: Readonly<Record<string, string>>): Promise<void> {
  await using client = await connect({ socket: harness.daemon.socketPath });
  const credentials = Object.entries(values).map(([field, value]) => ({ name: `cio_${set}_${field}`, value }));
  await client.call('Create', { credentials });
}

async function uuidOf(set: string): Promise<string> {
  const { sets } = (await harness.json(['list', set])) as { sets: { uuid: string }[] };
  return sets[0]?.uuid ?? '';
}

describe('cio credentials list', () => {
  it("prints pxctl's tables, and never a secret", async () => {
    const [s3, repository, azure, google, other] = Array.from({ length: 5 }, () => newSetName().replace('s3_', 'px-'));
    assert.ok(s3 && repository && azure && google && other);
    await store(s3, {
      provider: 's3',
      access_key: 'AK',
      secret_key: 'canarySK',
      region: 'eu-1',
      endpoint: 'http://a:9000,b:9000',
      bucket: 'bucket-1',
      backup_password: 'canarypw',
    });
    await store(repository, { provider: 'minio', backup_repo: 's3:https://minio.example/bucket-2/x' });
    await store(azure, {
      provider: 'azure',
      account_name: 'account1',
      account_key: 'QUJD',
      backup_repo: 'azure:cont:/',
    });
    await store(google, { provider: 'google', project_id: 'p-1', bucket: 'bucket-3' });
    await store(other, { region: 'eu-1' });
    const free = await harness.store('canary');
    const { code, stdout, stderr } = await harness.runPortworx(['list']);
    assert.equal(code, EXIT.done);
    assert.doesNotMatch(stdout, /canary|QUJD/);
    assert.match(stderr, /^1 credential is in no set; cio credential list shows it\.\n$/);
    const row = async (set: string, ...cells: string[]): Promise<RegExp> =>
      new RegExp(`^${[await uuidOf(set), set, ...cells].join(' {2,}')} {2,}lacks .*$`, 'm');
    assert.match(stdout, await row(s3, 'eu-1', 'a:9000,b:9000', 'AK', 'false', 'true', 'bucket-1'));
    assert.match(stdout, await row(repository, '-', 'minio.example', '-', 'true', 'false', 'bucket-2'));
    assert.match(stdout, await row(azure, 'account1', 'false', 'cont'));
    assert.match(stdout, await row(google, 'p-1', 'false', 'bucket-3'));
    const headings = [
      /^S3 Credentials\n\nUUID +NAME +REGION +ENDPOINT +ACCESS KEY +SSL ENABLED +ENCRYPTION +BUCKET +STATE$/m,
      /^Azure Credentials\n\nUUID +NAME +ACCOUNT NAME +ENCRYPTION +BUCKET +STATE$/m,
      /^Google Credentials\n\nUUID +NAME +PROJECT ID +ENCRYPTION +BUCKET +STATE$/m,
      /^Other Credentials\n\nUUID +NAME +PROVIDER +STATE$/m,
    ];
    for (const heading of headings) assert.match(stdout, heading);
    await harness.succeed(['remove', '--yes', s3, repository, azure, google, other, free]);
  });

  it('prints the same document as cio credential list', async () => {
    const set = await harness.storeSet();
    const { stdout } = await harness.runPortworx(['list', set, '-j']);
    assert.deepEqual(JSON.parse(stdout), await harness.json(['list', set]));
  });

  it('says in one line that nothing matches', async () => {
    const { code, stdout, stderr } = await harness.runPortworx(['list', newName()]);
    assert.deepEqual([code, stdout, stderr], [EXIT.done, '', 'Nothing matches.\n']);
  });
});

describe('cio credential list --output', () => {
  it('prints names, JSON, and the same document as YAML', async () => {
    const set = await harness.storeSet({ secret_key: 'canary' });
    const document = await harness.json(['list', set]);
    const { sets } = document as { sets: { health: { state: string } }[] };
    assert.equal(sets[0]?.health.state, 'unproved');
    assert.deepEqual(JSON.parse(await harness.succeed(['list', set, '-o', 'json'])), document);
    assert.deepEqual(await harness.json(['list', set, '--output=json']), document);
    assert.deepEqual(parse(await harness.succeed(['list', set, '-o', 'yaml'])), document);
    const names = ['access_key', 'backup_password', 'backup_repo', 'secret_key'].map(
      (field) => `cio_${set}_${field}\n`,
    );
    assert.equal(await harness.succeed(['list', set, '-o', 'name']), names.join(''));
    assert.equal(await harness.succeed(['list', newName(), '-o', 'name']), '');
    assert.equal((await harness.runPortworx(['list', set, '-o', 'name'])).stdout, `${set}\n`);
  });

  it('shows more columns in the wide form', async () => {
    const set = await harness.storeSet({ secret_key: 'canary' });
    await harness.succeed(['grant', set, '--unit', 'restic.service']);
    const stdout = await harness.succeed(['list', set, '-o', 'wide']);
    assert.match(stdout, /^SET +UUID +PROVIDER +OWNER +GENERATION +CHANGED +GRANTS +STATE$/m);
    assert.match(
      stdout,
      new RegExp(`^${set} +${await uuidOf(set)} +s3 +shared .* unit restic\\.service +ready, unproved$`, 'm'),
    );
    assert.match(stdout, /^NAME +SET +VERSION +GENERATION +BYTES +CREATED +CHANGED +OWNER +GRANTS +VALUE$/m);
    assert.doesNotMatch(stdout, /canary/);
  });

  it('prints no control characters in any form, even if a hostile daemon sends them', async (t) => {
    const evil = 'x\u001b]0;x\u0007\u009b2J\u202e\r';
    const numbers = { owner: 0, version: 1, generation: 1, changed: 1 };
    const unfit = { ...numbers, name: evil, createdBy: 0, set: evil, field: evil, created: 1, size: 1, value: evil };
    const set = { ...numbers, set: evil, uuid: evil, provider: evil, ready: false, missing: [evil], fields: [evil] };
    const health = {
      state: 'failed',
      checked: 1,
      finding: { check: evil, state: 'failed', reason: evil, subject: evil },
    };
    const peer = await Peer.onCalls(t, (_call, socket) => {
      const parameters = { credentials: [{ ...unfit, writable: true }], sets: [{ ...set, health }], damaged: 0 };
      socket.write(message({ parameters }));
    });
    for (const form of ['table', 'wide', 'json', 'yaml', 'name']) {
      const text = await harness.succeed(['list', '-o', form], { socketPath: peer.path });
      assert.match(text, /x.*]0;x/, form);
      assert.doesNotMatch(text, /(?!\n)[\p{Cc}\p{Cf}]/u, form);
    }
  });

  it('counts the damaged records that it leaves out, and exits with 10', async (t) => {
    const peer = await Peer.onCalls(t, (_call, socket) => {
      socket.write(message({ parameters: { credentials: [], sets: [], damaged: 1 } }));
    });
    const { code, stderr } = await harness.run(['list'], { socketPath: peer.path });
    assert.equal(code, EXIT.damaged);
    assert.match(stderr, /^Damaged records, left out of the list: 1; for details: cio credential fsck$/m);
  });

  it('refuses an unknown form, and two at once', async () => {
    assert.match(await harness.fail(EXIT.usage, ['list', '-o', 'xml']), /the forms are table, wide, json, yaml, name/);
    const { code } = await harness.run(['list', '--json', '-o', 'yaml']);
    assert.equal(code, EXIT.usage);
  });
});

describe('cio credential list on a narrow terminal', { skip: skipUnless(TERMINAL) }, () => {
  it('breaks no name, and keeps to the width', async (t) => {
    const set = await harness.storeSet();
    const line = [...harness.built, 'credential', 'list', set].map(quoted).join(' ');
    const env = { CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath, NO_COLOR: '1' };
    const program = new TerminalProgram(t, `stty cols 44; ${line}`, env);
    assert.equal(await program.exit(), EXIT.done);
    const lines = program.screen.split('\r\n');
    assert.ok(
      lines.every((each) => each.length <= 44),
      program.screen,
    );
    assert.ok(lines.includes(`NAME     cio_${set}_access_key`), program.screen);
    assert.ok(lines.includes('STATE     ready, unproved'), program.screen);
  });
});
