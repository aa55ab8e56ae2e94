import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { MockFunctionContext, TestContext } from 'node:test';
import { Emitter } from '../../../daemon/emitter.ts';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import { Copies } from '../../../daemon/vault/copies.ts';
import { openFilesIn } from '../../support/open-files.ts';
import type { Scope } from '../../support/scope.ts';
import { inspectWith } from '../store/page-inspectors.ts';
import { memoryDirectory } from './memory-directory.ts';
import { NOW, STORE_FILE, TestVault } from './open-vault.ts';
import { deleteRow, editFile, putRow, rowsOf } from './raw-file.ts';
import type { Row } from './raw-file.ts';

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

/** Flips a bit in the middle of a record's body, wherever that is in a file: neither its nonce nor its tag. */
function flipIn(file: string, { body }: Row): void {
  const bytes = fs.readFileSync(file);
  const at = bytes.indexOf(body);
  assert.notEqual(at, -1);
  const changed = at + Math.floor(body.length / 2);
  bytes.writeUInt8(bytes.readUInt8(changed) ^ 1, changed);
  fs.writeFileSync(file, bytes);
}

/** Makes a vault with a credential whose record fits into one page. */
async function vaultWithRecord(scope: Scope): Promise<{ made: TestVault; record: Row }> {
  const made = await TestVault.create(scope);
  await made.save('a', 'value');
  const [record] = rowsOf(made.path, KIND.credential);
  assert.ok(record !== undefined);
  return { made, record };
}

/** Changes each copy as soon as it is made, as long as there are changes. Returns the mock of what makes copies. */
function changeCopies(
  t: TestContext,
  { store }: TestVault,
  changes: ((file: string) => unknown)[],
): MockFunctionContext<TestVault['store']['copyTo']> {
  const copyTo = store.copyTo.bind(store);
  return t.mock.method(store, 'copyTo', async (file: string) => {
    await copyTo(file);
    await changes.shift()?.(file);
  }).mock;
}

describe('Copies.pieces()', () => {
  it('makes another copy if bits of the first are wrong, whether the store is unlocked or locked', async (t) => {
    for (const isLocked of [false, true]) {
      const { made, record } = await vaultWithRecord(t);
      const copies = copiesOf(made);
      const dropped = t.mock.method(made.store, 'dropCaches').mock;
      const bytes = await bytesFrom(copies);
      if (isLocked) await made.vault.lock();
      for (const row of [record, ...rowsOf(made.path, KIND.head), ...rowsOf(made.path, KIND.slot)]) {
        const before = dropped.callCount();
        const copying = changeCopies(t, made, [(file) => flipIn(file, row)]);
        assert.deepEqual(await bytesFrom(copies), bytes);
        assert.equal(copying.callCount(), 2);
        assert.ok(dropped.callCount() > before, 'the second is read from the disk');
        assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
        copying.restore();
      }
    }
  });

  it('makes another copy if the first is cut, has another version, or has a record too few, or too many, or an older one', async (t) => {
    const { made, record } = await vaultWithRecord(t);
    await made.save('a', 'newer');
    const copies = copiesOf(made);
    const size = (await bytesFrom(copies)).length;
    const edits: readonly ((file: string) => void)[] = [
      (file) => fs.truncateSync(file, size - 1),
      (file) => fs.truncateSync(file, 0),
      (file) => editFile(file, (database) => void database.pragma('user_version = 1000')),
      (file) => editFile(file, (database) => deleteRow(database, record)),
      (file) => editFile(file, (database) => putRow(database, record)),
      (file) => editFile(file, (database) => putRow(database, { ...record, tag: Buffer.alloc(16) })),
    ];
    for (const edit of edits) {
      const copying = changeCopies(t, made, [edit]);
      assert.equal((await bytesFrom(copies)).length, size);
      assert.equal(copying.callCount(), 2);
      copying.restore();
    }
    assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
  });

  it('fails if no copy is whole, and tells damage of the store from that of its copies', async (t) => {
    for (const isLocked of [false, true]) {
      const { made, record } = await vaultWithRecord(t);
      const copies = copiesOf(made);
      if (isLocked) await made.vault.lock();
      const flip = (file: string): void => flipIn(file, record);
      const copying = changeCopies(t, made, [flip, flip]);
      const reason = { code: 'StorageFailed', fields: { reason: 'io' } };
      await assert.rejects(bytesFrom(copies), reason);
      assert.equal(copying.callCount(), 2);
      copying.restore();
      assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
      if (isLocked) continue;
      const damaged = await made.tampered((database) => {
        const body = Buffer.from(record.body);
        body.writeUInt8(body.readUInt8(100) ^ 1, 100);
        putRow(database, { ...record, body });
      });
      await assert.rejects(bytesFrom(copiesOf(damaged)), { code: 'Damaged' });
      assert.deepEqual([filesLeft(damaged), filesOpen(damaged)], [[], []]);
    }
  });

  it('sends no hash if other bytes are read for sending than were proven', async (t) => {
    const made = await TestVault.create(t);
    await made.save('large', Buffer.alloc(500_000, 7));
    const pieces = copiesOf(made).pieces();
    await pieces.next();
    const [name] = filesLeft(made);
    const file = path.join(made.directory, 'copies', name ?? '');
    const bytes = fs.readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    fs.writeFileSync(file, bytes);
    await assert.rejects(
      async () => {
        for await (const { sha256 } of pieces) assert.equal(sha256, undefined);
      },
      { code: 'StorageFailed', fields: { reason: 'io' } },
    );
    assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
  });

  it('makes a whole copy across a rekey, a lock, and a lock and unlock', async (t) => {
    const changes: readonly ((made: TestVault) => Promise<unknown>)[] = [
      (made) => made.rekey(),
      (made) => made.vault.lock(),
      async (made) => {
        await made.vault.lock();
        await made.slots.unlockUnattended();
      },
    ];
    for (const change of changes) {
      for (const isDuringProof of [false, true]) {
        const { made } = await vaultWithRecord(t);
        const copying = changeCopies(t, made, [
          () => {
            if (!isDuringProof) return change(made);
            setImmediate(() => void change(made));
            return undefined;
          },
        ]);
        const bytes = await bytesFrom(copiesOf(made));
        copying.restore();
        const directory = memoryDirectory(t);
        fs.writeFileSync(path.join(directory, STORE_FILE), bytes);
        fs.copyFileSync(path.join(made.directory, 'root.key'), path.join(directory, 'root.key'));
        const copy = await TestVault.open(t, directory);
        assert.equal(copy.value('a'), 'value');
        assert.deepEqual((await copy.fsck()).problems, []);
        assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
      }
    }
  });

  it('does not call the store damaged if it is locked while it is looked at', async (t) => {
    const { made, record } = await vaultWithRecord(t);
    const flip = (file: string): void => flipIn(file, record);
    changeCopies(t, made, [flip, flip]);
    const readSnapshot = made.vault.readSnapshot.bind(made.vault);
    t.mock.method(made.vault, 'readSnapshot', (work: Parameters<typeof readSnapshot>[0]) =>
      readSnapshot(async (...snapshot) => {
        const working = work(...snapshot);
        await made.vault.lock();
        return working;
      }),
    );
    await assert.rejects(bytesFrom(copiesOf(made)), { code: 'Busy' });
    assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
  });

  it('ends the proof of a copy whose caller has left', async (t) => {
    for (const isLocked of [false, true]) {
      const { made } = await vaultWithRecord(t);
      if (isLocked) await made.vault.lock();
      const gone = new Emitter();
      const copying = changeCopies(t, made, [() => gone.fire()]);
      await assert.rejects(copiesOf(made).pieces(gone.subscribe).next(), { code: 'Busy' });
      assert.equal(copying.callCount(), 1);
      assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
    }
  });

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
    const refusal = { code: 'BadCopy', fields: { reason: 'damaged' } };
    // The store's id, the head and the data key.
    for (const kind of [0, 1, 3]) {
      const bad = without(kind);
      const { id } = copies.uploads.take(undefined, bad);
      await assert.rejects(copies.restore(id, sha256Of(bad), NO_SECRET, true), refusal);
      copies.uploads.drop();
      assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []], `without what is of kind ${kind}`);
    }
    // A file that crashes SQLite.
    inspectWith(t, 'kill -SEGV $$');
    const { id } = copies.uploads.take(undefined, bytes);
    await assert.rejects(copies.restore(id, sha256Of(bytes), NO_SECRET, true), refusal);
    assert.deepEqual([filesLeft(made), filesOpen(made)], [[], []]);
  });
});
