import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { FORMAT_VERSION } from '../../../daemon/store/migrations.ts';
import type { CredentialRecord, PrincipalRecord, Space, VersionEntry } from '../../../daemon/vault/records.ts';
import type { SlotRecord } from '../../../daemon/vault/slots.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { memoryDirectory } from './memory-directory.ts';
import { STORE_FILE, TestVault } from './open-vault.ts';

const FIXTURES = path.join(import.meta.dirname, '..', '..', 'fixtures');
const PYTHON_READER = path.join(FIXTURES, 'read-store.py');
const SCRIPT_READER = path.join(FIXTURES, 'read-store.mjs');

interface Expected {
  readonly storeId: string;
  readonly keyEpoch: number;
  readonly passphrase: string;
  readonly recoveryCode: string;
  readonly slots: readonly SlotRecord[];
  readonly credentials: readonly ExpectedCredential[];
  readonly principals: readonly PrincipalRecord[];
}

interface ExpectedCredential extends Omit<CredentialRecord, 'versions'> {
  /** The version entries with their values in base64. */
  readonly versions: readonly (VersionEntry & { readonly value: string })[];
}

interface Fixture {
  readonly directory: string;
  readonly credentialsDirectory: string;
  readonly file: string;
  readonly keyFile: string;
  readonly expected: Expected;
}

/** Copies a frozen store: later versions of the daemon must read it, and may migrate it. */
function copyOf(scope: Scope, name: string): Fixture {
  const directory = memoryDirectory(scope);
  fs.cpSync(path.join(FIXTURES, name), directory, { recursive: true });
  const keyFile = path.join(directory, 'root.key');
  fs.chmodSync(keyFile, 0o600);
  return {
    directory,
    credentialsDirectory: path.join(directory, 'credentials'),
    file: path.join(directory, STORE_FILE),
    keyFile,
    expected: JSON.parse(fs.readFileSync(path.join(directory, 'expected.json'), 'utf8')) as Expected,
  };
}

/** Returns everything in an open store, in the form of the fixture. */
function contentOf({ vault }: TestVault): Pick<Expected, 'credentials' | 'principals'> {
  return vault.read((reader) => ({
    credentials: reader
      .credentials(undefined, 1000)
      .records.map((record) => ({
        ...record,
        versions: record.versions.map((entry) => ({
          ...entry,
          value: Buffer.from(reader.value(record, entry.version)).toString('base64'),
        })),
      }))
      .toSorted((a, b) => compare(`${a.space} ${a.name}`, `${b.space} ${b.name}`)),
    principals: [...reader.principals()].toSorted((a, b) => compare(a.principal, b.principal)),
  }));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

const versions = fs.readdirSync(FIXTURES).filter((name) => /^store-v\d+$/.test(name));

describe('the file format', () => {
  it('has a frozen store for every version', () => {
    const wanted = Array.from({ length: FORMAT_VERSION }, (_, index) => `store-v${index + 1}`);
    assert.deepEqual(versions.toSorted(), wanted.toSorted());
  });

  for (const name of versions) {
    it(`${name} is read completely through every kind of slot`, async (t) => {
      const { directory, credentialsDirectory, keyFile, expected } = copyOf(t, name);
      const waysToOpen: Record<string, (opened: TestVault) => Promise<unknown>> = {
        passphrase: ({ slots }) => slots.unlockWithPassphrase(expected.passphrase),
        recovery: ({ slots }) => slots.unlockWithRecoveryCode(expected.recoveryCode),
        systemd: ({ slots }) => slots.unlockUnattended(),
        keyfile: ({ slots }) => slots.unlockUnattended(),
      };
      fs.renameSync(keyFile, `${keyFile}.away`);
      for (const [way, unlock] of Object.entries(waysToOpen)) {
        if (way === 'keyfile') fs.renameSync(`${keyFile}.away`, keyFile);
        const opened = await TestVault.openLocked(t, directory, way === 'systemd' ? credentialsDirectory : undefined);
        assert.deepEqual(opened.vault.slots(), expected.slots);
        await unlock(opened);
        assert.deepEqual(
          contentOf(opened),
          { credentials: expected.credentials, principals: expected.principals },
          way,
        );
        assert.equal(Buffer.from(opened.vault.storeId).toString('hex'), expected.storeId);
        assert.equal(opened.vault.unlocked().sealing.epoch, expected.keyEpoch);
        await opened.close();
      }
    });

    it(`${name} has no problems, accepts writes and a rekey, and keeps everything else unchanged`, async (t) => {
      const { directory, expected } = copyOf(t, name);
      const opened = await TestVault.open(t, directory);
      assert.deepEqual((await opened.fsck()).problems, []);
      await opened.save('new', 'value');
      assert.equal((await opened.rekey()).keyEpoch, expected.keyEpoch + 1);
      const again = await opened.reopened();
      const others = contentOf(again).credentials.filter((record) => record.name !== 'new');
      assert.deepEqual(others, expected.credentials);
      assert.deepEqual((await again.fsck()).problems, []);
    });
  }

  for (const version of versions) {
    it(
      `lets another program read all of ${version} and check the head with Python’s standard library alone`,
      { skip: skipUnless(command('python3')) },
      (t) => {
        const { file, keyFile, credentialsDirectory, expected } = copyOf(t, version);
        const ways: Record<string, string> = {
          keyfile: keyFile,
          systemd: path.join(credentialsDirectory, 'cio-credentiald.root-key'),
          recovery: expected.recoveryCode,
          passphrase: expected.passphrase,
        };
        for (const [kind, given] of Object.entries(ways)) {
          const output = execFileSync('python3', [PYTHON_READER, file, kind, given], { encoding: 'utf8' });
          const { passphrase: _, recoveryCode: __, ...content } = expected;
          const { commits, ...read } = JSON.parse(output) as Expected & { commits: number };
          assert.deepEqual(read, content);
          assert.ok(commits > 30);
        }
      },
    );
  }

  it(
    'lets another program read a store that the current daemon wrote',
    { skip: skipUnless(command('python3')) },
    async (t) => {
      const made = await TestVault.create(t);
      await made.save('cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ');
      await made.save('mine', Buffer.from([0, 255, 10]), 'uid:1000');
      const known = { space: 'system', set: 'aws', generation: 1, state: 'passed', checked: 2, good: 2 } as const;
      await made.vault.write((writer) => writer.putHealth(known));
      await made.grant('unit:restic.service', { space: 'system', kind: 'set', target: 'aws', missing: 'block' });
      const { recoveryCode = '' } = await made.slots.add({ kind: 'recovery', label: 'im „Safe“ \\ "1" / 🗝' });
      await made.rekey();
      await made.save('mine', 'again', 'uid:1000');
      const content = contentOf(made);
      await made.close();
      const ways = { keyfile: path.join(made.directory, 'root.key'), recovery: recoveryCode };
      for (const [kind, given] of Object.entries(ways)) {
        const read = JSON.parse(
          execFileSync('python3', [PYTHON_READER, made.path, kind, given], { encoding: 'utf8' }),
        ) as Expected & { readonly healths: unknown };
        assert.deepEqual({ credentials: read.credentials, principals: read.principals }, content);
        assert.deepEqual(read.healths, [known]);
      }
    },
  );

  for (const version of versions) {
    it(`lets another program read a value of ${version} with libsodium's official functions`, (t) => {
      const { file, keyFile, expected } = copyOf(t, version);
      const read = (space: Space, name: string): string =>
        execFileSync(process.execPath, [SCRIPT_READER, file, keyFile, space, name]).toString('base64');
      for (const [space, name] of [
        ['system', 'cio_aws_backup_password'],
        ['uid:1000', 'mine'],
      ] as const) {
        const record = expected.credentials.find((one) => one.space === space && one.name === name);
        assert.equal(read(space, name), record?.versions.at(-1)?.value);
      }
    });
  }
});
