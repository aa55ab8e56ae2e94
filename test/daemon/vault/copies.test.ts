import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { Copies } from '../../../daemon/vault/copies.ts';
import { NOW, TestVault } from './open-vault.ts';

const NO_SECRET = { passphrase: undefined, recoveryCode: undefined };

function copiesOf({ vault, sodium, directory }: TestVault): Copies {
  return new Copies(vault, sodium, { stateDirectory: directory, credentialsDirectory: undefined }, () => NOW);
}

async function bytesFrom(copies: Copies): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const { bytes } of copies.pieces()) pieces.push(bytes);
  return Buffer.concat(pieces);
}

function filesLeft({ directory }: TestVault): string[] {
  return fs.readdirSync(path.join(directory, 'copies'));
}

describe('Copies.pieces()', () => {
  it('leaves no file and is free again where the copy cannot be made', async (t) => {
    const made = await TestVault.create(t);
    const copies = copiesOf(made);
    const failing = t.mock.method(made.store, 'copyTo', () => Promise.reject(new StoreError('full', 'by the test')));
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await assert.rejects(bytesFrom(copies), { code: 'StorageFull' });
      assert.deepEqual(filesLeft(made), []);
    }
    failing.mock.restore();
    assert.equal((await bytesFrom(copies)).length, made.vault.copyBytes());
    assert.deepEqual(filesLeft(made), []);
  });
});

describe('Copies.restore()', () => {
  it('keeps no key of the copy or of what was there before, be the store open or locked', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'old');
    const copies = copiesOf(made);
    const bytes = await bytesFrom(copies);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    for (const isLocked of [false, true]) {
      for (const checkOnly of [true, false]) {
        await made.save('a', 'new');
        if (isLocked) await made.vault.lock();
        const { id } = copies.uploads.take(undefined, bytes);
        const { keptPath } = await copies.restore(id, sha256, NO_SECRET, checkOnly);
        assert.equal(keptPath === undefined, checkOnly);
        assert.equal(made.vault.isLocked, isLocked && checkOnly);
        if (!checkOnly) assert.equal(made.value('a'), 'old');
        copies.uploads.drop();
        await made.vault.lock();
        assert.ok(made.sodium.memory.every((block) => block.every((byte) => byte === 0)));
        await made.slots.unlockUnattended();
      }
    }
    assert.deepEqual(filesLeft(made), []);
  });
});
