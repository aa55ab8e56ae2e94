import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { saveVersion } from '../../../daemon/methods/save-version.ts';
import { openWithValue } from '../../../daemon/vault/reader.ts';
import { INLINE_BYTES_MAX, currentVersion, decodeNames, emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { CredentialRecord, NamesRecord } from '../../../daemon/vault/records.ts';
import { VaultTransaction } from '../../../daemon/vault/transaction.ts';
import { CountingStore } from '../counting-store.ts';
import { TestVault, valueOf } from './open-vault.ts';
import { rowsOf } from './raw-file.ts';

function begin({ store, vault }: TestVault): VaultTransaction {
  const { sealing, principals, head } = vault.unlocked();
  return new VaultTransaction(store, sealing, principals, head?.commits ?? assert.fail());
}

const NEW = { space: 'system', changed: 1, changedBy: 0 } as const;

function withVersion(record: CredentialRecord, version: number): CredentialRecord {
  return { ...record, versions: [...record.versions, { ...currentVersion(record), version }] };
}

describe('VaultTransaction', () => {
  it('looks up each record once, and writes in the order of the store', async (t) => {
    const made = await TestVault.create(t);
    const { sealing, principals, head, headBody } = made.vault.unlocked();
    const store = new CountingStore(made.store);
    const transaction = new VaultTransaction(store, sealing, principals, head?.commits ?? assert.fail());
    for (let index = 0; index < 20; index += 1) {
      const name = `name${index}`;
      assert.equal(transaction.credential('system', name), undefined);
      const existing = transaction.credential('system', name);
      const value = Buffer.from('value');
      saveVersion(transaction, { space: 'system', name, existing, value, changed: 1, changedBy: 0 });
      transaction.keep();
    }
    transaction.commit(head ?? assert.fail(), headBody);
    // The credentials, the list of names (which may exist) and the principal. The head is known.
    assert.deepEqual(store.reads, [
      ...Array.from({ length: 20 }, () => `get ${KIND.credential}`),
      `get ${KIND.names}`,
      `get ${KIND.principal}`,
    ]);
    const places = store.writes.slice(0, -1).map(({ kind, tag }) => `${kind} ${Buffer.from(tag).toString('hex')}`);
    assert.equal(places.length, 20 + 2);
    assert.deepEqual(places, places.toSorted());
    assert.equal(store.writes.at(-1)?.kind, KIND.head);
  });

  it('writes no record that would be too large to read again', async (t) => {
    const made = await TestVault.create(t);
    const grants = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        space: 'system' as const,
        kind: 'name' as const,
        target: `${index}`.padStart(150, 'x'),
      }));
    const put = (count: number): Promise<unknown> =>
      made.vault.write((writer) => writer.putPrincipal({ ...emptyPrincipal('gid:7'), grants: grants(count) }));
    await put(20_000);
    await assert.rejects(put(30_000), { code: 'TooLarge' });
    assert.equal(made.vault.read((reader) => reader.principal('gid:7'))?.grants.length, 20_000);
    // The store goes on working, and its records can be decrypted.
    await put(1);
    assert.equal(made.vault.read((reader) => reader.principal('gid:7'))?.grants.length, 1);
  });

  it('has no changes until keep() is called', async (t) => {
    const made = await TestVault.create(t);
    const transaction = begin(made);
    transaction.generation('system');
    assert.equal(transaction.hasChanges, false);
    transaction.drop();
    assert.equal(transaction.hasChanges, false);
    transaction.generation('system');
    transaction.keep();
    assert.equal(transaction.hasChanges, true);
  });

  it('writes nothing before it is committed', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const before = rowsOf(made.path);
    const transaction = begin(made);
    const record = transaction.credential('system', 'a') ?? assert.fail();
    transaction.putCredential(withVersion(record, 2), Buffer.from('new'));
    transaction.deleteCredential(record);
    transaction.keep();
    assert.deepEqual(rowsOf(made.path), before);
    assert.equal(made.value('a'), 'value');
  });

  it('reads its own changes, and after drop() those that were kept', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const transaction = begin(made);
    const record = transaction.credential('system', 'a') ?? assert.fail();
    transaction.putCredential(withVersion(record, 2), Buffer.from('kept'));
    transaction.keep();
    assert.equal(valueOf(transaction, 'a'), 'kept');
    transaction.deleteCredential(record);
    assert.equal(transaction.credential('system', 'a'), undefined);
    transaction.drop();
    assert.equal(valueOf(transaction, 'a'), 'kept');
    assert.equal(valueOf(transaction, 'a', 1), 'value');
  });

  it('gives a call one generation per space, however often it asks', async (t) => {
    const made = await TestVault.create(t);
    const transaction = begin(made);
    assert.deepEqual([transaction.generation('system'), transaction.generation('system')], [1, 1]);
    assert.equal(transaction.generation('uid:1'), 1);
    transaction.keep();
    assert.deepEqual([transaction.generation('system'), transaction.generation('system')], [2, 2]);
    transaction.drop();
    assert.equal(transaction.generation('system'), 2, 'one that is dropped uses up none');
  });

  it('updates the digest and counters of the head with every change', async (t) => {
    const made = await TestVault.create(t);
    const counts: (number | undefined)[] = [];
    const commits: (number | undefined)[] = [];
    const note = async (work: Promise<unknown>): Promise<void> => {
      await work;
      counts.push(made.vault.unlocked().head?.digest.records);
      commits.push(made.vault.unlocked().head?.commits);
      assert.deepEqual((await made.fsck()).problems, []);
    };
    await note(made.save('a', '1'));
    await note(made.save('a', '2'));
    await note(Promise.all([made.save('b', '1'), made.remove('b'), made.save('b', '2')]));
    await note(Promise.all([made.save('c', '1'), made.remove('c')]));
    await note(made.remove('a'));
    assert.deepEqual(counts, [6, 7, 9, 9, 6]);
    assert.deepEqual(commits, [2, 3, 4, 5, 6], 'the first one made the store');
  });

  it('wipes the plaintext it made of a value, even if sealing fails', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const { sealing } = made.vault.unlocked();
    const transaction = begin(made);
    const record = transaction.credential('system', 'a') ?? assert.fail();
    const value = Buffer.from('the new value');
    const seal = t.mock.method(sealing, 'seal');
    transaction.putCredential(withVersion(record, 2), value);
    seal.mock.mockImplementationOnce(() => {
      throw new RangeError('it fails');
    }, 2);
    assert.throws(() => transaction.putCredential(withVersion(record, 2), value), RangeError);
    const texts = seal.mock.calls.map((call) => call.arguments[2]);
    assert.equal(texts.length, 3);
    for (const text of texts) assert.ok(text.every((byte) => byte === 0));
    assert.equal(value.toString(), 'the new value', 'it stays the caller’s');
  });

  it('drops excess versions with their values', async (t) => {
    const made = await TestVault.create(t);
    for (let version = 1; version <= 13; version += 1) await made.save('a', `${version}`);
    assert.equal(rowsOf(made.path, KIND.value).length, 9);
    assert.deepEqual([made.value('a'), made.value('a', 4)], ['13', '4']);
    assert.throws(() => made.value('a', 3));
    assert.deepEqual((await made.fsck()).problems, []);
  });

  /**
   * Returns where each version of a credential is stored: inline in its record, in a record of its own ("apart"), or
   * nowhere.
   */
  function placesOf(made: TestVault, versions: readonly number[]): string[] {
    const { sealing } = made.vault.unlocked();
    const record = made.vault.read((reader) => reader.credential('system', 'a')) ?? assert.fail();
    const body = made.store.get(KIND.credential, sealing.credentialTag('system', 'a')) ?? assert.fail();
    const { hasValue } = openWithValue(sealing, sealing.credentialTag('system', 'a'), body) ?? assert.fail();
    return versions.map((version) => {
      const isApart = made.store.get(KIND.value, sealing.valueTag(record.id, version)) !== undefined;
      const isInline = hasValue && currentVersion(record).version === version;
      assert.ok(!(isApart && isInline));
      return isApart ? 'apart' : isInline ? 'inline' : 'nowhere';
    });
  }

  it('stores small values inline until one was too large', async (t) => {
    const made = await TestVault.create(t);
    const sizes = [1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 1, 2];
    const seen: string[][] = [];
    for (const [index, size] of sizes.entries()) {
      await made.save('a', Buffer.alloc(size, index));
      seen.push(placesOf(made, [1, 2, 3, 4, 5].slice(0, index + 1)));
      for (const [before, bytes] of sizes.slice(0, index + 1).entries()) {
        assert.equal(made.value('a', before + 1), Buffer.alloc(bytes, before).toString());
      }
    }
    assert.deepEqual(seen, [
      ['inline'],
      ['apart', 'inline'],
      ['apart', 'apart', 'apart'],
      ['apart', 'apart', 'apart', 'apart'],
      ['apart', 'apart', 'apart', 'apart', 'apart'],
    ]);
    assert.deepEqual((await made.fsck()).problems, []);
    await made.remove('a');
    assert.deepEqual(
      rowsOf(made.path).filter(({ kind }) => kind > KIND.principal),
      [],
    );
  });

  it('keeps the value of a record that is stored again without another value', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'first');
    await made.save('a', 'second');
    await made.vault.write((writer) => {
      const record = writer.credential('system', 'a') ?? assert.fail();
      writer.deleteValue(record, 1);
      writer.putCredential({ ...record, versions: record.versions.slice(1) });
    });
    // An inline value would lack the trace by which an older record that is put back is found out.
    assert.deepEqual(placesOf(made, [1, 2]), ['nowhere', 'apart']);
    assert.equal(made.value('a'), 'second');
    assert.deepEqual((await made.fsck()).problems, []);
  });

  /** Returns the lists of names, in the order of their ids. */
  function listsOf({ vault, path }: TestVault): NamesRecord[] {
    const { sealing } = vault.unlocked();
    return rowsOf(path, KIND.names)
      .map(({ tag, body }) => decodeNames(sealing.open(KIND.names, tag, body) ?? assert.fail()))
      .toSorted((one, other) => one.id.localeCompare(other.id));
  }

  it('lists the names first stored in one commit, 64 to a record', async (t) => {
    const made = await TestVault.create(t);
    const names = Array.from({ length: 150 }, (_, index) => `n${index}`);
    await made.saveAll(names);
    const commit = made.vault.unlocked().head?.commits;
    const lists = listsOf(made);
    assert.deepEqual(
      lists.map(({ id, names: listed }) => [id, listed.length]),
      [
        [`${commit}.0`, 64],
        [`${commit}.1`, 64],
        [`${commit}.2`, 22],
      ],
    );
    assert.deepEqual(
      lists.flatMap(({ names: listed }) => listed),
      names,
    );
    // Neither another version nor a user's own credential is listed.
    await made.save('n0', 'again');
    await made.save('own', 'value', 'uid:5');
    assert.deepEqual(listsOf(made), lists);
    for (const name of ['n0', ...names.slice(128)]) await made.remove(name);
    assert.deepEqual(
      listsOf(made).map(({ names: listed }) => listed),
      [names.slice(1, 64), names.slice(64, 128)],
    );
    assert.deepEqual((await made.fsck()).problems, []);
  });

  it('lists the final names, however often calls of the same commit stored and removed them', async (t) => {
    const made = await TestVault.create(t);
    const refused = made.vault.write((writer) => {
      saveVersion(writer, { ...NEW, name: 'refused', existing: undefined, value: Buffer.from('value') });
      throw new RangeError('by the test');
    });
    const work = [
      made.save('a', '1'),
      refused.catch(() => undefined),
      made.remove('a'),
      made.save('b', '1'),
      made.save('a', '2'),
      made.save('c', '1'),
      made.remove('c'),
    ];
    await Promise.all(work);
    assert.deepEqual(
      listsOf(made).flatMap(({ names }) => names.toSorted()),
      ['a', 'b'],
    );
    assert.equal(made.value('a'), '2');
    assert.deepEqual((await made.fsck()).problems, []);
  });
});
