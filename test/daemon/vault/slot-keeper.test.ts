import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { newRecoveryCode } from '../../../daemon/vault/recovery-code.ts';
import { pathInSlot } from '../../../daemon/vault/slot-keeper.ts';
import type { SlotRequest } from '../../../daemon/vault/slot-keeper.ts';
import { SLOTS_MAX, decodeSlot, encodeSlot } from '../../../daemon/vault/slots.ts';
import type { SlotRecord } from '../../../daemon/vault/slots.ts';
import { isCredentialError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import type { Errors } from '../../../src/protocol/interface.generated.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { cheapPassphraseSlot } from './cheap-slot.ts';
import { TestVault } from './open-vault.ts';
import { deleteRow, editFile, putRow, rowsOf } from './raw-file.ts';

const PASSPHRASE = 'correct horse battery staple';

function refused<Code extends ErrorCode>(code: Code, fields?: Errors[Code]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isCredentialError(error, code), String(error));
    if (fields !== undefined) assert.deepEqual(error.fields, fields);
    return true;
  };
}

/** Makes a store with an added passphrase slot that costs nothing to try. */
async function withPassphrase(t: TestContext): Promise<TestVault> {
  const made = await TestVault.create(t);
  const slot = await cheapPassphraseSlot(made.vault.storeId, made.vault.unlocked().rootKey, PASSPHRASE);
  await made.vault.write((writer) => writer.putSlot(slot));
  await made.save('a', 'value');
  return made;
}

/** Opens the same store locked: its key file is removed. */
async function locked(t: TestContext, made: TestVault, credentialsDirectory?: string): Promise<TestVault> {
  await made.close();
  fs.rmSync(path.join(made.directory, 'root.key'), { force: true });
  return TestVault.openLocked(t, made.directory, credentialsDirectory);
}

function rewriteSlot(file: string, id: string, change: (slot: Record<string, unknown>) => object): void {
  editFile(file, (database) => {
    const row = rowsOf(file, KIND.slot).find(({ tag }) => tag.toString() === id) ?? assert.fail('no such slot');
    const changed = change(JSON.parse(row.body.toString()) as Record<string, unknown>);
    putRow(database, { ...row, body: Buffer.from(JSON.stringify(changed)) });
  });
}

describe('SlotKeeper.unlockUnattended()', () => {
  it('opens a store with its key file', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    await made.close();
    const opened = await TestVault.openLocked(t, made.directory);
    const { opened: slot, troubles } = await opened.slots.unlockUnattended();
    assert.deepEqual([slot?.kind, troubles], ['keyfile', []]);
    assert.equal(opened.value('a'), 'value');
  });

  it('finds a key file that was moved with its state directory', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    await made.close();
    const moved = path.join(temporaryDirectory(t), 'moved');
    fs.cpSync(made.directory, moved, { recursive: true });
    fs.rmSync(made.directory, { recursive: true });
    assert.equal((await TestVault.open(t, moved)).value('a'), 'value');
  });

  it('says why no slot opened, and reveals nothing of a key', async (t) => {
    const made = await TestVault.create(t);
    const elsewhere = path.join(temporaryDirectory(t), 'second.key');
    await made.slots.add({ kind: 'keyfile', path: elsewhere });
    await made.close();
    fs.rmSync(elsewhere);
    fs.writeFileSync(path.join(made.directory, 'root.key'), randomBytes(32).toString('base64'));
    const opened = await TestVault.openLocked(t, made.directory);
    const { opened: slot, troubles } = await opened.slots.unlockUnattended();
    assert.equal(slot, undefined);
    assert.ok(opened.vault.isLocked);
    const reasons = troubles.map(({ reason }) => reason).toSorted();
    assert.match(reasons[0] ?? '', /^cannot read the key file .*second\.key: /);
    assert.equal(reasons[1], 'the key is not the one of this slot');
  });

  it("opens a store with systemd's credential, even one that others may read", async (t) => {
    const credentials = temporaryDirectory(t);
    const key = randomBytes(32);
    fs.writeFileSync(path.join(credentials, 'backup-key'), `${key.toString('base64')}\n`, { mode: 0o444 });
    const made = await TestVault.create(t);
    await made.close();
    const first = await TestVault.open(t, made.directory, credentials);
    await first.slots.add({ kind: 'systemd', credential: 'backup-key' });
    await first.save('a', 'value');
    const opened = await locked(t, first, credentials);
    assert.equal((await opened.slots.unlockUnattended()).opened?.kind, 'systemd');
    assert.equal(opened.value('a'), 'value');
    await opened.close();
    const without = await TestVault.openLocked(t, made.directory);
    const { opened: slot, troubles } = await without.slots.unlockUnattended();
    assert.equal(slot, undefined);
    assert.match(troubles[0]?.reason ?? '', /CREDENTIALS_DIRECTORY is not set/);
  });

  it("tries systemd's credential before key files", async (t) => {
    const credentials = temporaryDirectory(t);
    fs.writeFileSync(path.join(credentials, 'k'), randomBytes(32).toString('base64'));
    const made = await TestVault.create(t);
    await made.close();
    const first = await TestVault.open(t, made.directory, credentials);
    await first.slots.add({ kind: 'systemd', credential: 'k' });
    await first.close();
    const opened = await TestVault.openLocked(t, made.directory, credentials);
    assert.equal((await opened.slots.unlockUnattended()).opened?.kind, 'systemd');
  });

  const damages: Record<string, (slot: Record<string, unknown>) => object> = {
    'a path that is a number': (slot) => ({ ...slot, path: 5 }),
    'a path with a NUL': (slot) => ({ ...slot, path: 'a\0b' }),
    'a path to a device': (slot) => ({ ...slot, path: '/dev/zero' }),
    'a path to a directory': (slot) => ({ ...slot, path: '/' }),
    'another kind': (slot) => ({ ...slot, kind: 'systemd' }),
    'a credential that is a path': (slot) => ({ ...slot, kind: 'systemd', credential: '../../../dev/zero' }),
    'a credential that is a list': (slot) => ({ ...slot, kind: 'systemd', credential: [] }),
    'another label': (slot) => ({ ...slot, label: 'changed' }),
    'an empty wrapped key': (slot) => ({ ...slot, wrapped: '' }),
    'an unknown kind': (slot) => ({ ...slot, kind: 'tpm' }),
    'a body that is not a slot': () => [],
  };
  for (const [what, damage] of Object.entries(damages)) {
    it(`goes on to the next slot after one with ${what}`, async (t) => {
      const made = await TestVault.create(t);
      const [first] = made.vault.slots();
      await made.slots.add({ kind: 'keyfile', path: path.join(made.directory, 'second.key') });
      await made.save('a', 'value');
      await made.close();
      rewriteSlot(made.path, first?.id ?? '', damage);
      const opened = await TestVault.openLocked(t, made.directory, temporaryDirectory(t));
      const { opened: slot } = await opened.slots.unlockUnattended();
      assert.equal(slot?.path, 'second.key');
      assert.equal(opened.value('a'), 'value');
    });
  }

  it('does not open a slot whose path was changed to another key file', async (t) => {
    const made = await TestVault.create(t);
    const [first] = made.vault.slots();
    await made.close();
    const other = path.join(made.directory, 'other.key');
    fs.copyFileSync(path.join(made.directory, 'root.key'), other);
    fs.chmodSync(other, 0o600);
    rewriteSlot(made.path, first?.id ?? '', (slot) => ({ ...slot, path: 'other.key' }));
    const opened = await TestVault.openLocked(t, made.directory);
    const { opened: slot, troubles } = await opened.slots.unlockUnattended();
    assert.equal(slot, undefined);
    assert.equal(troubles[0]?.reason, 'the key is not the one of this slot');
  });
});

describe('SlotKeeper.unlockWithPassphrase()', () => {
  it('opens a store, and refuses another passphrase', async (t) => {
    const opened = await locked(t, await withPassphrase(t));
    for (const wrong of ['', `${PASSPHRASE} `, PASSPHRASE.toUpperCase()]) {
      await assert.rejects(
        opened.slots.unlockWithPassphrase(wrong),
        refused('UnlockFailed', { reason: 'wrong_secret' }),
      );
      assert.ok(opened.vault.isLocked);
    }
    assert.equal((await opened.slots.unlockWithPassphrase(PASSPHRASE)).kind, 'passphrase');
    assert.equal(opened.value('a'), 'value');
  });

  it('reports that there is no passphrase slot', async (t) => {
    const opened = await locked(t, await TestVault.create(t));
    await assert.rejects(opened.slots.unlockWithPassphrase('a'), refused('UnlockFailed', { reason: 'no_slot' }));
  });

  it('goes on to the right slot after ones with hostile parameters, and allocates no memory for them', async (t) => {
    const made = await withPassphrase(t);
    const storeId = made.vault.storeId;
    await made.close();
    const hostile = [
      { N: 2 ** 30, r: 8, p: 1 },
      { N: 2, r: 2 ** 22, p: 16 },
      { N: 2 ** 17, r: 1, p: 1 },
      { N: 16, r: 1, p: 2 ** 20 },
      { N: 15, r: 1, p: 1 },
      { N: '16', r: 1, p: 1 },
    ];
    const slots = await Promise.all(
      hostile.map(async (scrypt, index) => {
        const slot = await cheapPassphraseSlot(storeId, randomBytes(32), 'x', `0000000${index}`);
        return { ...slot, scrypt: { salt: '', ...scrypt } } as SlotRecord;
      }),
    );
    editFile(made.path, (database) => {
      for (const slot of slots)
        putRow(database, { kind: KIND.slot, tag: Buffer.from(slot.id), body: Buffer.from(encodeSlot(slot)) });
    });
    const opened = await locked(t, made);
    const rss = process.memoryUsage.rss();
    await assert.rejects(
      opened.slots.unlockWithPassphrase('wrong'),
      refused('UnlockFailed', { reason: 'wrong_secret' }),
    );
    assert.equal((await opened.slots.unlockWithPassphrase(PASSPHRASE)).kind, 'passphrase');
    assert.ok(process.memoryUsage.rss() - rss < 64 * 1024 ** 2);
  });
});

describe('SlotKeeper.unlockWithRecoveryCode()', () => {
  it('opens a store with the code that was shown once, however it is typed', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const { recoveryCode = '', slot } = await made.slots.add({ kind: 'recovery' });
    assert.ok(!JSON.stringify(slot).includes(recoveryCode));
    const opened = await locked(t, made);
    const typed = recoveryCode.toLowerCase().replaceAll('-', ' ');
    assert.equal((await opened.slots.unlockWithRecoveryCode(typed)).id, slot.id);
    assert.equal(opened.value('a'), 'value');
  });

  it('distinguishes a mistyped code from a valid code that opens no slot', async (t) => {
    const made = await TestVault.create(t);
    const { recoveryCode = '' } = await made.slots.add({ kind: 'recovery' });
    const opened = await locked(t, made);
    const slip = (recoveryCode.startsWith('0') ? '1' : '0') + recoveryCode.slice(1);
    for (const text of ['', slip, 'no code']) {
      await assert.rejects(opened.slots.unlockWithRecoveryCode(text), refused('UnlockFailed', { reason: 'bad_code' }));
    }
    await assert.rejects(
      opened.slots.unlockWithRecoveryCode(newRecoveryCode()),
      refused('UnlockFailed', { reason: 'wrong_secret' }),
    );
  });

  it('reports that there is no recovery code', async (t) => {
    const opened = await locked(t, await withPassphrase(t));
    await assert.rejects(
      opened.slots.unlockWithRecoveryCode(newRecoveryCode()),
      refused('UnlockFailed', { reason: 'no_slot' }),
    );
  });
});

describe('SlotKeeper.add()', () => {
  it('refuses while the store is locked', async (t) => {
    const opened = await locked(t, await withPassphrase(t));
    const place = path.join(opened.directory, 'new.key');
    for (const request of [{ kind: 'recovery' }, { kind: 'keyfile', path: place }] satisfies SlotRequest[]) {
      await assert.rejects(opened.slots.add(request), refused('Locked'));
    }
    assert.ok(!fs.existsSync(place));
  });

  it('never overwrites a key file, and adds no slot if it cannot make one', async (t) => {
    const made = await TestVault.create(t);
    const file = path.join(made.directory, 'root.key');
    const content = fs.readFileSync(file, 'utf8');
    for (const place of [file, made.directory, path.join(made.directory, 'none', 'key'), path.join(file, 'key')]) {
      await assert.rejects(made.slots.add({ kind: 'keyfile', path: place }), (error) => {
        assert.ok(isCredentialError(error, 'InvalidValue'));
        assert.equal(error.fields.name, 'path');
        return true;
      });
    }
    assert.equal(fs.readFileSync(file, 'utf8'), content);
    assert.equal(made.vault.slots().length, 1);
  });

  it('refuses a credential that systemd did not give', async (t) => {
    const made = await TestVault.create(t);
    await assert.rejects(made.slots.add({ kind: 'systemd', credential: 'none' }), refused('InvalidValue'));
    await made.close();
    const opened = await TestVault.open(t, made.directory, temporaryDirectory(t));
    await assert.rejects(opened.slots.add({ kind: 'systemd', credential: 'none' }), refused('InvalidValue'));
  });

  it(`refuses more than ${SLOTS_MAX}, even if they are requested at once`, async (t) => {
    const made = await TestVault.create(t);
    const added = await Promise.allSettled(Array.from({ length: 20 }, () => made.slots.add({ kind: 'recovery' })));
    assert.equal(made.vault.slots().length, SLOTS_MAX);
    assert.equal(added.filter(({ status }) => status === 'fulfilled').length, SLOTS_MAX - 1);
    for (const result of added) {
      if (result.status === 'rejected') refused('TooLarge', { limit: SLOTS_MAX })(result.reason);
    }
    await assert.rejects(made.slots.add({ kind: 'recovery' }), refused('TooLarge'));
  });

  it('keeps no key of its own afterwards', async (t) => {
    const made = await TestVault.create(t);
    await made.slots.add({ kind: 'keyfile', path: path.join(made.directory, 'second.key') });
    await assert.rejects(made.slots.add({ kind: 'keyfile', path: '/' }));
    await made.vault.lock();
    assert.ok(made.sodium.memory[0]?.every((byte) => byte === 0));
  });

  it('leaves no key file of a slot that could not be stored', async (t) => {
    const made = await TestVault.create(t);
    const file = path.join(made.directory, 'second.key');
    const adding = made.slots.add({ kind: 'keyfile', path: file });
    assert.ok(fs.existsSync(file));
    await made.vault.lock();
    await assert.rejects(adding, refused('Locked'));
    assert.ok(!fs.existsSync(file));
    assert.equal(made.vault.slots().length, 1);
  });

  it('keeps the root key until it is done if the store is locked meanwhile, and adds nothing then', async (t) => {
    const made = await TestVault.create(t);
    const adding = made.slots.add({ kind: 'passphrase', passphrase: PASSPHRASE });
    await made.vault.lock();
    await assert.rejects(adding, refused('Locked'));
    assert.equal(made.vault.slots().length, 1);
    assert.ok(made.sodium.memory[0]?.every((byte) => byte === 0));
  });
});

describe('SlotKeeper', () => {
  it('wipes every key and passphrase that a slot is made or opened with, even if it opens none', async (t) => {
    const credentials = temporaryDirectory(t);
    fs.writeFileSync(path.join(credentials, 'backup-key'), randomBytes(32).toString('base64'), { mode: 0o400 });
    const first = await withPassphrase(t);
    await first.close();
    const made = await TestVault.open(t, first.directory, credentials);
    const hashed = t.mock.method(made.sodium, 'hashedKey');
    await made.slots.add({ kind: 'keyfile', path: path.join(made.directory, 'second.key') });
    await made.slots.add({ kind: 'systemd', credential: 'backup-key' });
    const { recoveryCode = '' } = await made.slots.add({ kind: 'recovery' });
    await made.vault.lock();
    await assert.rejects(made.slots.add({ kind: 'recovery' }), refused('Locked'));
    await made.slots.unlockUnattended();
    await made.vault.lock();
    await assert.rejects(made.slots.unlockWithRecoveryCode(newRecoveryCode()), refused('UnlockFailed'));
    await made.slots.unlockWithRecoveryCode(recoveryCode);
    await made.vault.lock();
    await assert.rejects(made.slots.unlockWithPassphrase('another'), refused('UnlockFailed'));
    await made.slots.unlockWithPassphrase(PASSPHRASE);
    assert.equal(hashed.mock.callCount(), 8);
    for (const call of hashed.mock.calls) assert.ok(call.arguments[0].every((byte) => byte === 0));
  });
});

describe('SlotKeeper.remove()', () => {
  it('removes a slot, and leaves the others', async (t) => {
    const made = await withPassphrase(t);
    const keyFileSlot = made.vault.slots().find(({ kind }) => kind === 'keyfile');
    await made.slots.remove(keyFileSlot?.id ?? '');
    await made.close();
    const opened = await TestVault.openLocked(t, made.directory);
    assert.equal((await opened.slots.unlockUnattended()).opened, undefined);
    await opened.slots.unlockWithPassphrase(PASSPHRASE);
    assert.equal(opened.value('a'), 'value');
  });

  it('refuses the last slot', async (t) => {
    const made = await TestVault.create(t);
    await assert.rejects(made.slots.remove(made.vault.slots()[0]?.id ?? ''), refused('LastSlot'));
    assert.equal(made.vault.slots().length, 1);
  });

  it('refuses to remove the second of two slots in one turn', async (t) => {
    const made = await withPassphrase(t);
    const results = await Promise.allSettled(made.vault.slots().map(({ id }) => made.slots.remove(id)));
    assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
    for (const result of results) if (result.status === 'rejected') refused('LastSlot')(result.reason);
    assert.equal(made.vault.slots().length, 1);
  });

  it('refuses to remove one slot twice in one turn', async (t) => {
    const made = await withPassphrase(t);
    const [{ id } = { id: '' }] = made.vault.slots();
    const results = await Promise.allSettled([made.slots.remove(id), made.slots.remove(id)]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    );
    assert.equal(made.vault.slots().length, 1);
  });

  it('removes the last slot if another is added in the same turn', async (t) => {
    const made = await TestVault.create(t);
    const [first] = made.vault.slots();
    const second = await cheapPassphraseSlot(made.vault.storeId, made.vault.unlocked().rootKey, PASSPHRASE);
    await Promise.all([made.vault.write((writer) => writer.putSlot(second)), made.slots.remove(first?.id ?? '')]);
    assert.deepEqual(
      made.vault.slots().map(({ id }) => id),
      [second.id],
    );
  });

  it('does not count a slot that cannot be opened any more', async (t) => {
    const made = await withPassphrase(t);
    const good = made.vault.slots().find(({ kind }) => kind === 'keyfile')?.id ?? '';
    await made.close();
    rewriteSlot(made.path, '0123abcd', () => ({}));
    const opened = await TestVault.open(t, made.directory);
    await assert.rejects(opened.slots.remove(good), refused('LastSlot'));
  });

  it('refuses ids that no slot has', async (t) => {
    const made = await withPassphrase(t);
    for (const id of ['', 'ffffffff', '0123ABCD', 'head']) {
      await assert.rejects(made.slots.remove(id), refused('NotFound', { name: id }));
    }
  });

  it('removes the slot from the file', async (t) => {
    const made = await withPassphrase(t);
    await made.slots.remove('0123abcd');
    await made.close();
    assert.ok(rowsOf(made.path, KIND.slot).every(({ tag, body }) => decodeSlot(tag, body)?.kind === 'keyfile'));
    assert.ok(!fs.readFileSync(made.path).includes('0123abcd'));
  });

  it('cannot be undone unnoticed by putting the slot back', async (t) => {
    const made = await withPassphrase(t);
    const row = rowsOf(made.path, KIND.slot).find(({ tag }) => tag.toString() === '0123abcd') ?? assert.fail();
    await made.slots.remove('0123abcd');
    await made.close();
    editFile(made.path, (database) => putRow(database, row));
    const opened = await TestVault.open(t, made.directory);
    assert.deepEqual((await opened.fsck()).problems, [{ what: 'added', detail: '1 record was added to the file' }]);
    await opened.close();
    editFile(made.path, (database) => deleteRow(database, row));
    assert.deepEqual((await (await TestVault.open(t, made.directory)).fsck()).problems, []);
  });
});

describe('pathInSlot()', () => {
  const places = { stateDirectory: '/var/lib/cio', credentialsDirectory: undefined };
  const paths: Record<string, string> = {
    '/var/lib/cio/root.key': 'root.key',
    '/var/lib/cio/keys/a': 'keys/a',
    '/var/lib/cio-other/a': '/var/lib/cio-other/a',
    '/var/lib/a': '/var/lib/a',
    '/root.key': '/root.key',
  };
  for (const [given, kept] of Object.entries(paths)) {
    it(`stores ${given} as ${kept}`, () => assert.equal(pathInSlot(places, given), kept));
  }
});
