import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { Copies } from '../../../daemon/vault/copies.ts';
import { openFilesIn } from '../../support/open-files.ts';
import { memoryDirectory } from './memory-directory.ts';
import { NOW, TestVault } from './open-vault.ts';
import { editFile } from './raw-file.ts';

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

/** Includes files that were unlinked but are still open. */
function filesOpen({ directory }: TestVault): string[] {
  return openFilesIn(path.join(directory, 'copies'));
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('Copies.pieces()', () => {
  it('leaves no file and frees its place when the copy cannot be made', async (t) => {
    const made = await TestVault.create(t);
    const copies = copiesOf(made);
    const failing = t.mock.method(made.store, 'copyTo', () => Promise.reject(new StoreError('full', 'by the test')));
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await assert.rejects(bytesFrom(copies), { code: 'StorageFull' });
      assert.deepEqual(filesLeft(made), []);
    }
    failing.mock.restore();
    assert.equal((await bytesFrom(copies)).length, made.vault.copyBytes());
    const sent = [copies.pieces(), copies.pieces()];
    for (const pieces of sent) await pieces.next();
    await assert.rejects(copies.pieces().next(), { code: 'Busy' }, 'no more are free than were before');
    for (const pieces of sent) await pieces.return();
    assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
  });
});

describe('Copies.clear()', () => {
  it('removes the files that an earlier daemon left', async (t) => {
    const made = await TestVault.create(t);
    const copies = copiesOf(made);
    await bytesFrom(copies);
    const left = path.join(made.directory, 'copies', 'left');
    fs.writeFileSync(left, 'half of a copy');
    copies.clear();
    assert.equal(fs.existsSync(left), false);
  });
});

describe('Copies.restore()', () => {
  it('keeps no key of the copy or of the replaced store, whether the store is unlocked or locked', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'old');
    const copies = copiesOf(made);
    const bytes = await bytesFrom(copies);
    const sha256 = sha256Of(bytes);
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
    assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
  });

  it('leaves no file of an unusable copy open, whatever is wrong with the copy', async (t) => {
    const made = await TestVault.create(t);
    const copies = copiesOf(made);
    const bytes = await bytesFrom(copies);
    const without = (kind: number): Buffer => {
      const file = path.join(memoryDirectory(t), 'copy.db');
      fs.writeFileSync(file, bytes);
      editFile(file, (database) => {
        database.exec(`DELETE FROM record WHERE kind = ${kind}`);
        database.pragma('wal_checkpoint(TRUNCATE)');
      });
      return fs.readFileSync(file);
    };
    // The store's id, the head and the data key.
    for (const kind of [0, 1, 3]) {
      const bad = without(kind);
      const { id } = copies.uploads.take(undefined, bad);
      const refusal = { code: 'BadCopy', fields: { reason: 'damaged' } };
      await assert.rejects(copies.restore(id, sha256Of(bad), NO_SECRET, true), refusal);
      copies.uploads.drop();
      assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []], `without what is of kind ${kind}`);
    }
  });
});
