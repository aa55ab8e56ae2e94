import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RepositoryFiles } from '../../../../daemon/prober/restic/repository.ts';
import { KEYS_TRIED_MAX, openRepository } from '../../../../daemon/prober/restic/repository.ts';
import { countDerivations } from './derivations.ts';
import type { NamedFile } from './reference.ts';
import { makeKeyFile, named, randomKey, seal } from './reference.ts';
import { watchWipes } from './wiped.ts';

const ID = 'f'.repeat(64);
const OPENED = { version: 1, id: ID };
const MASTER = randomKey();
const CONFIG = seal(MASTER, Buffer.from(JSON.stringify({ version: 1, id: ID, chunker_polynomial: '3dea92648f6e83' })));
const neverAborted = new AbortController().signal;
const password = Buffer.from('password');

const keyOf = (password: string): NamedFile => makeKeyFile({ password, master: MASTER });
const keysOf = (count: number): NamedFile[] => Array.from({ length: count }, (_, index) => keyOf(`other ${index}`));

/** Returns a repository with keys in this order, and records the names that are read. */
function repository(keys: readonly NamedFile[], config: Uint8Array = CONFIG): RepositoryFiles & { read: string[] } {
  const read: string[] = [];
  return {
    config,
    keyNames: keys.map(({ name }) => name),
    read,
    async readKey(name) {
      read.push(name);
      return keys.find((key) => key.name === name)?.bytes ?? assert.fail('a key is read that is not there');
    },
  };
}

describe('openRepository()', () => {
  it('opens with the first key that the password opens, and reads no further', async () => {
    const keys = [...keysOf(2), keyOf('password'), keyOf('password')];
    const files = repository(keys);
    assert.deepEqual(await openRepository(files, password, neverAborted), OPENED);
    assert.deepEqual(
      files.read,
      keys.slice(0, 3).map(({ name }) => name),
    );
  });

  it('wipes the master key, but not the password', async (t) => {
    const wiped = watchWipes(t);
    await openRepository(repository([keyOf('password')]), password, neverAborted);
    for (const part of [MASTER.encrypt, MASTER.macK, MASTER.macR]) assert.ok(wiped.has(part));
    assert.ok(!wiped.has(password));
  });

  it('reports a wrong password if it opens no key', async () => {
    assert.deepEqual(await openRepository(repository(keysOf(3)), password, neverAborted), { reason: 'wrong_password' });
  });

  it('reports no_keys if no file is named like a key', async () => {
    for (const keys of [[], [{ name: 'README', bytes: Buffer.from('x') }]]) {
      assert.deepEqual(await openRepository(repository(keys), password, neverAborted), { reason: 'no_keys' });
    }
  });

  it('tries as many keys as restic, and no more', async () => {
    const last = repository([...keysOf(KEYS_TRIED_MAX - 1), keyOf('password')]);
    assert.deepEqual(await openRepository(last, password, neverAborted), OPENED);
    const behind = repository([...keysOf(KEYS_TRIED_MAX), keyOf('password')]);
    const refused = await openRepository(behind, password, neverAborted);
    assert.deepEqual(refused, { reason: 'too_many_keys', subject: '20' });
    assert.equal(behind.read.length, KEYS_TRIED_MAX);
    const exactly = repository(keysOf(KEYS_TRIED_MAX));
    assert.deepEqual(await openRepository(exactly, password, neverAborted), { reason: 'wrong_password' });
  });

  it('skips files that are not named like a key', async () => {
    const files = repository([{ name: '.DS_Store', bytes: Buffer.from('x') }, keyOf('password')]);
    assert.deepEqual(await openRepository(files, password, neverAborted), OPENED);
    assert.equal(files.read.length, 1);
  });

  it('ends at an invalid key, even if the next one would open', async () => {
    const damaged = named(Buffer.from('{}'));
    const files = repository([damaged, keyOf('password')]);
    const refused = await openRepository(files, password, neverAborted);
    assert.deepEqual(refused, { reason: 'not_a_repository', subject: `keys/${damaged.name}` });
    const greedy = makeKeyFile({ password: 'password', master: MASTER, members: { N: 2 ** 20, r: 8 } });
    assert.deepEqual(await openRepository(repository([greedy]), password, neverAborted), {
      reason: 'untrusted_parameters',
      subject: `keys/${greedy.name}`,
    });
  });

  it('reports not_a_repository if the key does not open the config', async () => {
    const other = makeKeyFile({ password: 'password', master: randomKey() });
    const refused = await openRepository(repository([other]), password, neverAborted);
    assert.deepEqual(refused, { reason: 'not_a_repository', subject: 'config' });
  });

  it('derives nothing for an invalid config', async () => {
    for (const config of [new Uint8Array(), new Uint8Array(32), new Uint8Array(5000)]) {
      const files = repository([keyOf('password')], config);
      const derivations = await countDerivations(async () => {
        const refused = await openRepository(files, password, neverAborted);
        assert.deepEqual(refused, { reason: 'not_a_repository', subject: 'config' });
      });
      assert.equal(derivations, 0);
    }
  });

  it('tries one key at a time, and stops between two when it is aborted', async () => {
    const cancel = new AbortController();
    const files = repository(keysOf(5));
    const readKey: RepositoryFiles['readKey'] = async (name) => {
      if (files.read.length === 2) cancel.abort(new Error('cancelled here'));
      return files.readKey(name);
    };
    await assert.rejects(openRepository({ ...files, readKey }, password, cancel.signal), /cancelled here/);
    assert.equal(files.read.length, 3);
  });

  it('throws the error of reading a key', async () => {
    const files = { ...repository([keyOf('password')]), readKey: () => Promise.reject(new Error('lost')) };
    await assert.rejects(openRepository(files, password, neverAborted), /lost/);
  });
});
