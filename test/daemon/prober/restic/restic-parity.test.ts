import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { describe, it } from 'node:test';
import type { RepositoryConfig } from '../../../../daemon/prober/restic/config.ts';
import type { Refusal } from '../../../../daemon/prober/restic/refusal.ts';
import { openRepository } from '../../../../daemon/prober/restic/repository.ts';
import { plainEnvironment, run } from '../../../support/process.ts';
import { command, skipUnless } from '../../../support/requirements.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import made from './made-by-restic.json' with { type: 'json' };

const skip = skipUnless(command('restic'));
const neverAborted = new AbortController().signal;

/** A repository in a directory, to be opened by restic and by this code. */
class Repository {
  readonly #directory: string;

  constructor(t: TestContext) {
    this.#directory = path.join(temporaryDirectory(t), 'repository');
  }

  /** Runs restic and returns its standard output, or undefined if it fails. */
  async restic(password: string, ...args: readonly string[]): Promise<string | undefined> {
    const env = { ...plainEnvironment(), RESTIC_REPOSITORY: this.#directory, RESTIC_PASSWORD: password };
    const { code, stdout } = await run(['restic', '--no-cache', ...args], { env });
    return code === 0 ? stdout.toString() : undefined;
  }

  async init(password: string, version: number): Promise<void> {
    assert.ok(await this.restic(password, 'init', `--repository-version=${version}`), 'restic init failed');
  }

  async addKey(password: string, added: string): Promise<void> {
    const file = `${this.#directory}.password`;
    fs.writeFileSync(file, added, { mode: 0o600 });
    assert.ok(await this.restic(password, 'key', 'add', `--new-password-file=${file}`), 'restic key add failed');
  }

  keyFiles(): string[] {
    const keys = path.join(this.#directory, 'keys');
    return fs.readdirSync(keys).map((name) => path.join(keys, name));
  }

  async open(password: string): Promise<RepositoryConfig | Refusal> {
    const keys = path.join(this.#directory, 'keys');
    const files = {
      config: fs.readFileSync(path.join(this.#directory, 'config')),
      keyNames: this.keyFiles().map((file) => path.basename(file)),
      readKey: async (name: string) => fs.readFileSync(path.join(keys, name)),
    };
    return openRepository(files, Buffer.from(password), neverAborted);
  }

  /** Asserts that both open it and read the same. */
  async isOpenedByBoth(password: string, version: number): Promise<void> {
    const [theirs, ours] = await Promise.all([this.restic(password, 'cat', 'config'), this.open(password)]);
    const { id, version: theirVersion } = JSON.parse(
      theirs ?? assert.fail('restic does not open it'),
    ) as RepositoryConfig;
    assert.deepEqual(ours, { version, id });
    assert.equal(theirVersion, version);
  }

  async isOpenedByNobody(password: string): Promise<void> {
    const [theirs, ours] = await Promise.all([this.restic(password, 'cat', 'config'), this.open(password)]);
    assert.equal(theirs, undefined);
    assert.deepEqual(ours, { reason: 'wrong_password' });
  }
}

describe('openRepository() and restic', { concurrency: 2 }, () => {
  it('agree on version 1: the right password and a wrong one', { skip }, async (t) => {
    const repository = new Repository(t);
    await repository.init('password', 1);
    await repository.isOpenedByBoth('password', 1);
    await repository.isOpenedByNobody('Password');
  });

  it('agree on version 2, two keys, and passwords with spaces and non-ASCII characters', { skip }, async (t) => {
    const repository = new Repository(t);
    const [first, second] = [' p\u00e4ss w\u00f6rd \u{1f511}\t', 'cl\u00e9 n\u00ba 2'];
    await repository.init(first, 2);
    await repository.addKey(first, second);
    for (const password of [first, second]) await repository.isOpenedByBoth(password, 2);
    // White space matters, and so does the Unicode normalization.
    await repository.isOpenedByNobody(first.trim().normalize('NFD'));
  });

  it('agree that a damaged key file ends the search', { skip }, async (t) => {
    const repository = new Repository(t);
    await repository.init('password', 2);
    const [keyFile = assert.fail('there is no key')] = repository.keyFiles();
    fs.chmodSync(keyFile, 0o600);
    fs.writeFileSync(keyFile, fs.readFileSync(keyFile, 'utf8').replace('"scrypt"', '"argon2"'));
    const [theirs, ours] = await Promise.all([
      repository.restic('password', 'cat', 'config'),
      repository.open('password'),
    ]);
    assert.equal(theirs, undefined);
    assert.deepEqual(ours, { reason: 'not_a_repository', subject: `keys/${path.basename(keyFile)}` });
  });
});

describe('openRepository()', () => {
  for (const { version, id, config, key, password } of made) {
    it(`opens a repository of version ${version} made by restic 0.14`, async () => {
      const files = {
        config: Buffer.from(config, 'base64'),
        keyNames: [key.name],
        readKey: async () => Buffer.from(key.bytes, 'base64'),
      };
      assert.deepEqual(await openRepository(files, Buffer.from(password), neverAborted), { version, id });
    });
  }
});
