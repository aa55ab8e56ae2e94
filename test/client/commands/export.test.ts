import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { connect } from '../../../client/index.ts';
import { decryptAge } from '../../../client/cio/age/age.ts';
import { EXIT } from '../../../src/errors.ts';
import { parseExport } from '../../../src/export-format.ts';
import { run } from '../../support/process.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { TERMINAL, TerminalProgram, quoted } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });
const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const PASSPHRASE = 'correct horse battery staple';

async function opened(file: Uint8Array): Promise<Map<string, string>> {
  const plain = Buffer.from(await decryptAge(file, { identities: [identity] })).toString('utf8');
  return new Map(
    parseExport(plain).credentials.map((one) => [
      one.name,
      'value' in one ? one.value : Buffer.from(one.data, 'base64').toString('latin1'),
    ]),
  );
}

describe('cio credential export', () => {
  it('writes the named credentials to a file with mode 0600 that its recipient can decrypt', async (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'export.age');
    const set = await harness.storeSet();
    const blob = await harness.store(Uint8Array.of(0, 255, 10, 128));
    const other = await harness.storeSet();
    const words = ['export', blob, '--set', set, '--to', file, '--recipient', recipient];
    const { code, stdout, stderr } = await harness.run(words);
    assert.deepEqual([code, stdout], [EXIT.done, '']);
    assert.match(
      stderr,
      /^Succeed: Export credentials: 5 credentials \(1 set\) exported\nTry it out: cio credential import /,
    );
    const bytes = fs.readFileSync(file);
    const values = await opened(bytes);
    assert.equal(values.size, 5);
    assert.equal(values.get(`cio_${set}_secret_key`), 'SK');
    assert.equal(values.get(blob), '\0\xff\n\x80');
    assert.equal(values.has(`cio_${other}_secret_key`), false);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(fs.readdirSync(folder), ['export.age'], 'nothing else is left there');
    assert.ok(!bytes.includes(set));
  });

  it("exports all of the caller's own credentials if none are named, to several recipients", async (t) => {
    const folder = temporaryDirectory(t);
    const second = await generateX25519Identity();
    const recipients = path.join(folder, 'recipients.txt');
    fs.writeFileSync(recipients, `# both of us\n\n${recipient}\n  ${await identityToRecipient(second)}\r\n`);
    const words = ['export', '--to', '-', '--armor', '--recipients-file', recipients];
    const text = await harness.succeed(words);
    assert.match(text, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    const names = ((await harness.json(['list'])) as { credentials: { name: string }[] }).credentials.map(
      ({ name }) => name,
    );
    assert.deepEqual([...(await opened(Buffer.from(text))).keys()], names.toSorted());
    await decryptAge(Buffer.from(text), { identities: [second] });
  });

  it('refuses existing files, invalid recipients and unknown names, and leaves nothing behind', async (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'export.age');
    fs.writeFileSync(file, 'precious');
    const to = ['--to', file];
    const name = await harness.store('value');
    assert.match(await harness.fail(EXIT.alreadyExists, ['export', name, ...to, '-r', recipient]), /already exists/);
    const fresh = ['--to', path.join(folder, 'other.age')];
    await harness.fail(EXIT.usage, ['export', name, ...fresh]);
    await harness.fail(EXIT.usage, ['export', name, '-r', recipient]);
    await harness.fail(EXIT.usage, ['export', name, ...fresh, '-r', recipient, '--passphrase']);
    assert.equal((await harness.run(['export', name, '--to', '-', '-r', recipient, '--json'])).code, EXIT.usage);
    for (const wrong of ['age1bogus', 'ssh-ed25519 AAAA', recipient.toUpperCase().slice(0, -1), '']) {
      assert.match(await harness.fail(EXIT.usage, ['export', name, ...fresh, '-r', wrong]), /recipient/);
    }
    const told = await harness.fail(EXIT.usage, ['export', name, ...fresh, '-r', identity]);
    assert.match(told, /the recipient given is an identity/);
    assert.ok(!told.includes(identity));
    await harness.fail(EXIT.notFound, ['export', 'not-there', ...fresh, '-r', recipient]);
    await harness.fail(EXIT.notFound, ['export', '--set', name, ...fresh, '-r', recipient]);
    assert.match(
      await harness.fail(EXIT.failed, ['export', name, '--to', path.join(folder, 'no/such/x'), '-r', recipient]),
      /ENOENT/,
    );
    assert.match(
      await harness.fail(EXIT.failed, ['export', name, '--to', folder, '--force', '-r', recipient]),
      /is a folder/,
    );
    assert.deepEqual(fs.readdirSync(folder), ['export.age']);
    assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
    await harness.succeed(['export', name, ...to, '--force', '-r', recipient]);
    assert.equal((await opened(fs.readFileSync(file))).get(name), 'value');
  });

  it(
    "records the store's ID, and writes no file if there is nothing to export",
    { skip: skipUnless(root) },
    async (t) => {
      const { storeId } = (await harness.json(['status'])) as { storeId: string };
      const name = await harness.store('value');
      const { stdoutBytes } = await harness.run(['export', name, '--to', '-', '-r', recipient]);
      const plain = await decryptAge(stdoutBytes, { identities: [identity] });
      assert.equal(parseExport(Buffer.from(plain).toString()).storeId, storeId);
      const folder = temporaryDirectory(t);
      const words = ['export', '--owner', '45679', '--to', path.join(folder, 'export.age'), '-r', recipient];
      assert.match(await harness.fail(EXIT.invalid, words), /there is nothing to export/);
      assert.deepEqual(fs.readdirSync(folder), []);
    },
  );

  it('exports all values of one moment while others write', async () => {
    const names = ['pair-one', 'pair-two'];
    await using client = await connect({ socket: harness.daemon.socketPath });
    const write = (round: number): Promise<unknown> =>
      client.call('Create', { credentials: names.map((name) => ({ name, value: `${round}` })), replace: true });
    await write(0);
    const startedMs = performance.now();
    await harness.succeed(['export', ...names, '--to', '-', '-r', recipient]);
    // At the pace of a person who types rather than the daemon's, and in proportion to this machine's speed.
    const pauseMs = Math.max(40, (performance.now() - startedMs) / 6);
    for (let round = 1; round <= 3; round += 1) {
      const state = { isDone: false };
      const text = harness.run(['export', ...names, '--to', '-', '-r', recipient]).finally(() => {
        state.isDone = true;
      });
      for (let count = 0; !state.isDone; count += 1) {
        await write(round * 1000 + count);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      const { code, stdoutBytes, stderr } = await text;
      assert.equal(code, EXIT.done, stderr);
      const values = await opened(stdoutBytes);
      assert.equal(values.get('pair-one'), values.get('pair-two'));
    }
  });

  it(
    "exports users' own credentials, and none that were only granted to them",
    { skip: skipUnless(root) },
    async () => {
      const as = { uid: 45_678, gid: 45_678 };
      const granted = await harness.store('of the administrators');
      await harness.succeed(['grant', granted, '--user', '45678']);
      await harness.succeed(['create', 'mine', 'my own'], { as });
      assert.equal(await harness.succeed(['get', granted], { as }), 'of the administrators');
      const { code, stdoutBytes, stderr } = await harness.run(['export', '--to', '-', '-r', recipient], { as });
      assert.equal(code, EXIT.done, stderr);
      assert.deepEqual([...(await opened(stdoutBytes))], [['mine', 'my own']]);
      const ofUser = await harness.run(['export', '--owner', '45678', '--to', '-', '-r', recipient]);
      assert.deepEqual([...(await opened(ofUser.stdoutBytes))], [['mine', 'my own']]);
      await harness.fail(EXIT.accessDenied, ['backup', '/tmp/never-there'], { as });
      assert.equal(fs.existsSync('/tmp/never-there'), false);
    },
  );

  it('asks for the passphrase twice on a terminal, without showing it', { skip: skipUnless(TERMINAL) }, async (t) => {
    const file = path.join(temporaryDirectory(t), 'export.age');
    const name = await harness.store('value');
    const words = [...harness.built, 'credential', 'export', name, '--to', file, '--passphrase'].map(quoted).join(' ');
    const program = new TerminalProgram(t, words, harness.environment);
    await program.shows('New passphrase of the file');
    program.type(`${PASSPHRASE}\r`);
    await program.shows('Repeat');
    program.type(`${PASSPHRASE}\r`);
    assert.equal(await program.exit(), EXIT.done, program.screen);
    assert.ok(!program.screen.includes(PASSPHRASE));
    const written = fs.readFileSync(file);
    const plain = await decryptAge(written, { passphrase: PASSPHRASE });
    assert.equal(parseExport(Buffer.from(plain).toString()).credentials.length, 1);
    const again = new TerminalProgram(t, `${words} --force`, harness.environment);
    await again.shows('New passphrase of the file');
    again.type('one\r');
    await again.shows('Repeat');
    again.type('two\r');
    assert.equal(await again.exit(), EXIT.invalid);
    const stopped = new TerminalProgram(t, `${words} --force`, harness.environment);
    await stopped.shows('New passphrase of the file');
    stopped.type('\u0003');
    assert.equal(await stopped.exit(), 130);
    assert.deepEqual(fs.readdirSync(path.dirname(file)), ['export.age']);
    assert.deepEqual(fs.readFileSync(file), written);
  });
});

/** The age implementation in Go that Debian packages. */
const AGE = command('age', 'age');

describe('age', () => {
  it('decrypts an export, with an identity and with a passphrase', { skip: skipUnless(AGE, TERMINAL) }, async (t) => {
    const folder = temporaryDirectory(t);
    const name = await harness.store('value for age');
    const keys = path.join(folder, 'key.txt');
    fs.writeFileSync(keys, `${identity}\n`, { mode: 0o600 });
    for (const armor of [[], ['--armor']]) {
      const file = path.join(folder, `recipient${armor.length}.age`);
      await harness.succeed(['export', name, '--to', file, '-r', recipient, ...armor]);
      const { stdout } = await run(['age', '--decrypt', '--identity', keys, file]);
      assert.deepEqual(parseExport(stdout.toString()).credentials, [{ name, value: 'value for age' }]);
    }
    const file = path.join(folder, 'passphrase.age');
    await harness.succeed(['export', name, '--to', file, '--passphrase'], { stdin: `${PASSPHRASE}\n` });
    const plain = path.join(folder, 'plain.json');
    // age reads a passphrase from a terminal only.
    const program = new TerminalProgram(t, `age --decrypt --output ${quoted(plain)} ${quoted(file)}`);
    await program.shows('passphrase');
    program.type(`${PASSPHRASE}\r`);
    assert.equal(await program.exit(), 0, program.screen);
    assert.equal(parseExport(fs.readFileSync(plain, 'utf8')).credentials.length, 1);
  });

  it(
    'makes files that decryptAge() decrypts, with an identity and with a passphrase',
    { skip: skipUnless(AGE, TERMINAL) },
    async (t) => {
      const folder = temporaryDirectory(t);
      const plain = path.join(folder, 'plain');
      fs.writeFileSync(plain, 'from age');
      for (const armor of ['', '--armor']) {
        const file = path.join(folder, `a${armor}.age`);
        await run(['age', '--encrypt', ...(armor === '' ? [] : [armor]), '-r', recipient, '-o', file, plain]);
        assert.equal(
          Buffer.from(await decryptAge(fs.readFileSync(file), { identities: [identity] })).toString(),
          'from age',
        );
      }
      const file = path.join(folder, 'p.age');
      const program = new TerminalProgram(t, `age --passphrase --output ${quoted(file)} ${quoted(plain)}`);
      await program.shows('Enter passphrase');
      program.type(`${PASSPHRASE}\r`);
      await program.shows('Confirm');
      program.type(`${PASSPHRASE}\r`);
      assert.equal(await program.exit(), 0, program.screen);
      assert.equal(
        Buffer.from(await decryptAge(fs.readFileSync(file), { passphrase: PASSPHRASE })).toString(),
        'from age',
      );
    },
  );
});
