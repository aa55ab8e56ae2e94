import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { connect } from '../../../client/index.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness, newSetName, REPOSITORY } from './harness.ts';

const harness = await Harness.start({ after });

/** The expected questions in order, and the keys typed for each. */
type Dialog = readonly (readonly [question: string, keys: string])[];

/** Returns a set name that does not say its provider. */
function newPlainSetName(): string {
  return newSetName().replace('s3_', 'set-');
}

async function valuesOf(set: string): Promise<Record<string, string>> {
  await using client = await connect({ socket: harness.daemon.socketPath });
  const { members } = await client.call('GetSet', { set, allowIncomplete: true });
  return Object.fromEntries(members.map(({ field, value }) => [field, value ?? '']));
}

async function isAbsent(set: string): Promise<boolean> {
  const { credentials } = (await harness.json(['list', set])) as { credentials: unknown[] };
  return credentials.length === 0;
}

/** The questions for a provider's optional fields, answered with Enter except for the given answers. */
function optionalDialog(id: string, answers: Readonly<Record<string, Dialog>>, given: readonly string[] = []): Dialog {
  const fields = PROVIDERS.get(id)?.fields ?? [];
  return fields
    .filter((field) => !field.isRequired && field.id !== 'provider' && !given.includes(field.id))
    .flatMap((field) => answers[field.id] ?? [[`${field.label.replaceAll(/[()]/g, '.')}[^\n]*`, '\r'] as const]);
}

/** Runs `cio credential create WORDS` on a terminal and holds a dialog with it. */
async function hold(
  scope: Scope,
  words: readonly string[],
  dialog: Dialog,
): Promise<{ exit: number | null; screen: string }> {
  const line = [...harness.built, 'credential', 'create', ...words].map(quoted).join(' ');
  const env = { CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath, NO_COLOR: '1' };
  const program = new TerminalProgram(scope, line, env);
  let seen = 0;
  for (const [question, keys] of dialog) {
    // On a new line after the last answer; a question may be redrawn on its line.
    const before = seen === 0 ? '(?:[^]*\\n)?' : `[^]{${seen}}[^]*\\n`;
    await program.shows(new RegExp(`^${before}${question}: (?:\\r\u001b\\[K${question}: )*$`));
    seen = program.screen.length;
    program.type(keys);
  }
  const exit = await program.exit();
  return { exit, screen: program.screen };
}

const FIELDS: Dialog = [
  ['Repository \\(as in [^)]*\\)', `${REPOSITORY}\r`],
  ['Access key', 'AKIA\r'],
  ['Secret key', 'canarySK\r'],
  ['Repeat', 'canarySK\r'],
  ['Repository password', 'canary pw\r'],
  ['Repeat', 'canary pw\r'],
];

const WANTED = { backup_repo: REPOSITORY, access_key: 'AKIA', secret_key: 'canarySK', backup_password: 'canary pw' };

/** A port on which nothing listens: a set with this server fails. */
const CLOSED = 's3:http://127.0.0.1:1/backup';

describe('cio credential create on a terminal, for a set', { skip: skipUnless(TERMINAL) }, () => {
  it('lets the user correct the answers after a failure, and keeps the others', async (t) => {
    const set = newSetName();
    const asked: Dialog = [
      ['Ask for them\\? \\[y/N\\]', '\r'],
      ['Store it\\? \\[Y/n\\]', '\r'],
    ];
    const { exit, screen } = await hold(
      t,
      [set, '--provider', 's3'],
      [
        ['Repository \\(as in [^)]*\\)', `${CLOSED}\r`],
        ...FIELDS.slice(1),
        ['Ask for them\\? \\[y/N\\]', 'y\r'],
        ...optionalDialog('s3', { region: [['Region \\(as in [^)]*\\)', 'eu-central-1\r']] }),
        ['Store it\\? \\[Y/n\\]', '\r'],
        ['Correct the answers, and try again\\? \\[Y/n\\]', '\r'],
        ['Repository \\(Enter keeps it\\)', `${CLOSED}/2\r`],
        ['Access key \\(Enter keeps it\\)', '\r'],
        ['Secret key \\(Enter keeps it\\)', '\r'],
        ['Repository password \\(Enter keeps it\\)', '\r'],
        ...asked,
        ['Correct the answers, and try again\\? \\[Y/n\\]', 'n\r'],
      ],
    );
    assert.equal(exit, 9, screen);
    const second = screen.slice(screen.lastIndexOf('Ask for them?'));
    assert.match(second, /Repository +s3:http:\/\/127\.0\.0\.1:1\/backup\/2\r\n/);
    assert.match(second, /Access key +AKIA\r\n +Secret key +•{8}\r\n.* +•{8}\r\n +Region +eu-central-1\r\n/);
    assert.doesNotMatch(screen, /canary/);
    assert.ok(await isAbsent(set));
  });

  it('asks field by field, shows the result without secrets, and stores it', async (t) => {
    const set = newSetName();
    const { exit, screen } = await hold(
      t,
      [set, '--provider', 's3', '--no-validate'],
      [...FIELDS, ['Ask for them\\? \\[y/N\\]', '\r'], ['Store it\\? \\[Y/n\\]', '\r']],
    );
    assert.equal(exit, 0, screen);
    assert.match(screen, /Access key +AKIA\r\n +Secret key +•{8}\r\n/);
    assert.match(screen, new RegExp(`Succeed: Create credential: Set ${set} saved`));
    assert.doesNotMatch(screen, /canary/);
    assert.deepEqual(await valuesOf(set), WANTED);
  });

  it('offers a menu of providers, repeats a question after an invalid answer, and asks for optional fields', async (t) => {
    const set = newPlainSetName();
    const { exit, screen } = await hold(
      t,
      [set, '--ask', '--no-validate'],
      [
        ['Provider', 'nonsense\r'],
        ['Provider', '2\r'],
        ['Repository \\(as in [^)]*\\)', 'canary\r'],
        ['Repository \\(as in [^)]*\\)', `${REPOSITORY}\r`],
        ['Access key', '\r'],
        ["Use the machine's own identity in place of keys\\? \\[y/N\\]", '\r'],
        ['Access key', 'AKIA\r'],
        ['Secret key', 'one\r'],
        ['Repeat', 'two\r'],
        ...FIELDS.slice(2),
        ['Ask for them\\? \\[y/N\\]', 'y\r'],
        ...optionalDialog('minio', {
          region: [['Region \\(as in [^)]*\\)', 'eu-central-1\r']],
          session_token: [
            ['Session token, path of its file, or - to type it', '/nonexistent\r'],
            ['Session token, path of its file, or - to type it', '-\r'],
            ['Session token', 'canarytoken\r'],
          ],
          path_style: [
            ['Bucket in the path \\(true or false\\)', 'yes\r'],
            ['Bucket in the path \\(true or false\\)', 'true\r'],
          ],
        }),
        ['Store it\\? \\[Y/n\\]', 'y\r'],
      ],
    );
    assert.equal(exit, 0, screen);
    assert.match(screen, /There is no such provider/);
    assert.match(screen, /Repository is not valid: it does not start with s3:/);
    assert.match(screen, /Access key is needed/);
    assert.match(screen, /The two entries differ/);
    assert.match(screen, /cannot open the file \/nonexistent: it does not exist \(ENOENT\)/);
    assert.match(screen, /it is neither true nor false/);
    assert.doesNotMatch(screen, /canarySK|canary pw|canarytoken/);
    const more = { provider: 'minio', region: 'eu-central-1', session_token: 'canarytoken', path_style: 'true' };
    assert.deepEqual(await valuesOf(set), { ...WANTED, ...more });
  });

  it("accepts the machine's identity instead of keys, and a file for a long value", async (t) => {
    const identity = newPlainSetName();
    const file = path.join(harness.folder, 'ca.pem');
    fs.writeFileSync(file, '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n');
    const { exit, screen } = await hold(
      t,
      [identity, '--provider', 'azure', '--ask', '--no-validate', '--bucket', 'bbb'],
      [
        ['Repository \\(as in [^)]*\\)', 'azure:backup:/\r'],
        ['Account name', 'account1\r'],
        ['Account key', '\r'],
        ["Use the machine's own identity in place of keys\\? \\[y/N\\]", 'y\r'],
        ['Repository password', 'pw\r'],
        ['Repeat', 'pw\r'],
        ['Ask for them\\? \\[y/N\\]', 'y\r'],
        ...optionalDialog(
          'azure',
          { endpoint_ca: [['Certificate authority \\(PEM\\), path of its file, or - to type it', `${file}\r`]] },
          ['bucket', 'use_iam'],
        ),
        ['Store it\\? \\[Y/n\\]', 'YES\r'],
      ],
    );
    assert.equal(exit, 0, screen);
    assert.deepEqual(await valuesOf(identity), {
      provider: 'azure',
      backup_repo: 'azure:backup:/',
      account_name: 'account1',
      use_iam: 'true',
      backup_password: 'pw',
      bucket: 'bbb',
      endpoint_ca: fs.readFileSync(file, 'utf8').trimEnd(),
    });
  });

  it('stores nothing if it is interrupted or the user declines', async (t) => {
    for (const [dialog, wanted] of [
      [[['Repository \\(as in [^)]*\\)', '\u0003']], 130],
      [[['Repository \\(as in [^)]*\\)', '\u0004']], 8],
      [[...FIELDS.slice(0, 3), ['Repeat', '\u0003']], 130],
      [[...FIELDS, ['Ask for them\\? \\[y/N\\]', '\u0003']], 130],
      [[...FIELDS, ['Ask for them\\? \\[y/N\\]', '\r'], ['Store it\\? \\[Y/n\\]', '\u0003']], 130],
      [[...FIELDS, ['Ask for them\\? \\[y/N\\]', '\r'], ['Store it\\? \\[Y/n\\]', 'n\r']], 1],
    ] as const satisfies readonly (readonly [Dialog, number])[]) {
      const set = newSetName();
      const { exit, screen } = await hold(t, [set, '--provider', 's3', '--no-validate'], dialog);
      assert.equal(exit, wanted, screen);
      assert.doesNotMatch(screen, /canary/);
      assert.ok(await isAbsent(set));
    }
  });

  it("asks for a set's missing fields, and with --replace keeps a value on Enter", async (t) => {
    const set = await harness.storeSet();
    const taken = await hold(t, [set, '--ask', '--no-validate'], []);
    assert.equal(taken.exit, 4);
    assert.match(taken.screen, /already exists/);
    await harness.succeed(['remove', `cio_${set}_secret_key`, '--yes']);
    const filled = await hold(
      t,
      [set, '--ask', '--no-validate'],
      [
        ['Secret key', 'SK2\r'],
        ['Repeat', 'SK2\r'],
        ['Ask for them\\? \\[y/N\\]', '\r'],
        ['Store it\\? \\[Y/n\\]', '\r'],
      ],
    );
    assert.equal(filled.exit, 0, filled.screen);
    const changed = await hold(
      t,
      [set, '--ask', '--replace', '--no-validate'],
      [
        ['Repository \\(Enter keeps it\\)', '\r'],
        ['Access key \\(Enter keeps it\\)', 'AK2\r'],
        ['Secret key \\(Enter keeps it\\)', '\r'],
        ['Repository password \\(Enter keeps it\\)', '\r'],
        ['Ask for them\\? \\[y/N\\]', '\r'],
        ['Store it\\? \\[Y/n\\]', '\r'],
      ],
    );
    assert.equal(changed.exit, 0, changed.screen);
    const { backup_repo, access_key, secret_key } = await valuesOf(set);
    assert.deepEqual([backup_repo, access_key, secret_key], [REPOSITORY, 'AK2', 'SK2']);
  });

  it("asks for the secrets that pxctl's options leave out", async (t) => {
    const set = newPlainSetName();
    const options = ['--provider', 's3', '--s3-access-key', 'AK', '--encryption-passphrase', '-', '--no-validate', set];
    const { exit, screen } = await hold(t, options, [
      ['Repository password \\(--encryption-passphrase\\)', 'canary pw\r'],
      ['Repeat', 'canary pw\r'],
      ['Secret key \\(--s3-secret-key\\)', 'canarySK\r'],
      ['Repeat', 'canarySK\r'],
    ]);
    assert.equal(exit, 0, screen);
    assert.doesNotMatch(screen, /canary/);
    assert.deepEqual(await valuesOf(set), {
      provider: 's3',
      access_key: 'AK',
      secret_key: 'canarySK',
      backup_password: 'canary pw',
    });
  });

  it('warns of a secret on the command line', async (t) => {
    const words = ['--provider', 's3', '--s3-access-key', 'AK', '--s3-secret-key', 'SK', '--no-validate'];
    const { exit, screen } = await hold(t, [...words, newPlainSetName()], []);
    assert.equal(exit, 0, screen);
    assert.match(screen, /Warning: other users of this host can see/);
  });

  it('does not take the rest of a paste for answers to other questions', async (t) => {
    const set = newPlainSetName();
    const { exit, screen } = await hold(
      t,
      [set, '--provider', 'google', '--no-validate'],
      [
        ['Repository \\(as in [^)]*\\)', 'gs:backup-123:/\r'],
        ['Project ID \\(as in [^)]*\\)', 'p-1\r'],
        ['Service account \\(JSON\\), path of its file, or - to type it', '{\r  "private_key": "canary",\r}\r'],
        ['Service account \\(JSON\\), path of its file, or - to type it', '\u0003'],
      ],
    );
    assert.equal(exit, 130, screen);
    assert.doesNotMatch(screen, /canary/);
    assert.ok(await isAbsent(set));
  });

  it('stores nothing if it is interrupted while it validates the set', async (t) => {
    const silent = net.createServer(() => undefined).listen(0, '127.0.0.1');
    t.after(() => silent.close());
    await once(silent, 'listening');
    const { port } = silent.address() as net.AddressInfo;
    const set = newPlainSetName();
    const keys = ['--provider', 's3', '--s3-access-key', 'AK', '--s3-secret-key', 'SK', '--s3-region', 'eu-1'];
    const place = ['--s3-endpoint', `127.0.0.1:${port}`, '--s3-disable-ssl', '--bucket', 'bucket-1'];
    const line = [...harness.built, 'credential', 'create', ...keys, ...place, set].map(quoted).join(' ');
    const env = { CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath, NO_COLOR: '1' };
    const program = new TerminalProgram(t, line, env);
    await program.shows('✔ connection');
    program.type('\u0003');
    assert.equal(await program.exit(), 130);
    assert.ok(await isAbsent(set));
  });
});
