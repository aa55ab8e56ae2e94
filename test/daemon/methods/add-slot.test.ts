import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Reply } from '../../../daemon/dispatch.ts';
import { SLOTS_MAX } from '../../../daemon/vault/slots.ts';
import type { AddSlotIn } from '../../../src/protocol/interface.generated.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { ALICE, RESTIC, ROOT, startCore } from '../core.ts';

describe('AddSlot', () => {
  it('returns a recovery code, only once', async (t) => {
    const core = await startCore(t);
    const { slot, recoveryCode } = await core.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    assert.match(recoveryCode ?? '', /^([0-9A-HJKMNP-TV-Z]{6}-){5}[0-9A-HJKMNP-TV-Z]{6}$/);
    assert.equal(slot.kind, 'recovery');
    assert.ok(!JSON.stringify(await core.ask(ROOT, 'ListSlots', {})).includes(recoveryCode ?? ''));
  });

  it('makes a key file with mode 0600 that opens the store', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const path = join(temporaryDirectory(t), 'second.key');
    const { slot, recoveryCode } = await core.ask(ROOT, 'AddSlot', { kind: 'keyfile', path });
    assert.deepEqual([slot.label, recoveryCode], [path, undefined]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const [first] = (await core.ask(ROOT, 'ListSlots', {})).slots.filter(({ label }) => label === 'root.key');
    await core.ask(ROOT, 'RemoveSlot', { id: first?.id ?? '' });
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.ask(ROOT, 'Unlock', {}), { slot: slot.id });
  });

  it('accepts a credential that systemd gave', async (t) => {
    const credentialsDirectory = temporaryDirectory(t);
    writeFileSync(join(credentialsDirectory, 'my-key'), `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o440 });
    const core = await startCore(t, { credentialsDirectory });
    const { slot } = await core.ask(ROOT, 'AddSlot', { kind: 'systemd', credential: 'my-key' });
    assert.deepEqual([slot.kind, slot.label], ['systemd', 'my-key']);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.ask(ROOT, 'Unlock', {}), { slot: slot.id });
  });

  it('keeps a label of up to 64 characters', async (t) => {
    const core = await startCore(t);
    const label = 'Käsekuchen, im Safe links '.padEnd(64, 'x');
    assert.equal((await core.ask(ROOT, 'AddSlot', { kind: 'recovery', label })).slot.label, label);
  });

  it('is refused to anyone but administrators', async (t) => {
    const core = await startCore(t);
    for (const person of [ALICE, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'AddSlot', { kind: 'recovery' }), [
        'AccessDenied',
        { right: 'administer' },
      ]);
      assert.equal((await core.refusal(person, 'AddSlot', { kind: 'keyfile', path: 'relative' }))[0], 'AccessDenied');
    }
  });

  it('lets an administrator who is neither root nor the daemon’s user make key files in the state directory only', async (t) => {
    const core = await startCore(t);
    const member = { ...core.caller(ROOT), uid: ALICE.uid, isDaemonsUser: false };
    const add = async (parameters: AddSlotIn): Promise<string | undefined> => {
      const reply = await core.dispatch(member, { method: 'io.cio.Credentials.AddSlot', parameters });
      return (reply as Reply).error;
    };
    const directory = temporaryDirectory(t);
    for (const path of [join(directory, 'new.key'), `${core.directory}-2.key`]) {
      assert.equal(await add({ kind: 'keyfile', path }), 'io.cio.Credentials.AccessDenied', path);
    }
    assert.deepEqual(readdirSync(directory), []);
    assert.equal(await add({ kind: 'keyfile', path: join(core.directory, 'new.key') }), undefined);
    assert.equal(await add({ kind: 'recovery' }), undefined);
  });

  it('is refused while the store is locked, without making a key file', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    const path = join(temporaryDirectory(t), 'second.key');
    for (const parameters of [
      { kind: 'recovery' },
      { kind: 'keyfile', path },
      { kind: 'passphrase', passphrase: 'x' },
    ] as const) {
      assert.deepEqual(await core.refusal(ROOT, 'AddSlot', parameters), ['Locked', {}]);
    }
    assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
  });

  it(`adds up to ${SLOTS_MAX} slots, even if many are requested at once`, async (t) => {
    const core = await startCore(t);
    const replies = await Promise.all(
      Array.from({ length: SLOTS_MAX + 4 }, () => core.call(ROOT, 'AddSlot', { kind: 'recovery' })),
    );
    const refused = replies.filter(({ error }) => error !== undefined);
    for (const reply of refused) {
      assert.deepEqual(reply, { error: 'io.cio.Credentials.TooLarge', parameters: { limit: SLOTS_MAX } });
    }
    assert.equal((await core.ask(ROOT, 'ListSlots', {})).slots.length, SLOTS_MAX);
    assert.deepEqual(await core.refusal(ROOT, 'AddSlot', { kind: 'recovery' }), ['TooLarge', { limit: SLOTS_MAX }]);
  });

  it('holds keys for no more slots than allowed, however many calls wait', async (t) => {
    const core = await startCore(t);
    const { promise: isDone, resolve: end } = Promise.withResolvers<void>();
    const checking = core.vault.exclusive(() => isDone);
    const asked = Array.from({ length: 200 }, () => core.call(ROOT, 'AddSlot', { kind: 'recovery' }));
    const unlocked = await core.call(ROOT, 'Unlock');
    end();
    await checking;
    assert.equal(unlocked.error, undefined, 'there is room for the keys of others');
    const errors = (await Promise.all(asked)).map(({ error }) => error);
    assert.deepEqual(new Set(errors), new Set([undefined, 'io.cio.Credentials.TooLarge']));
    assert.equal(errors.filter((error) => error === undefined).length, SLOTS_MAX - 1);
    assert.deepEqual(core.log, []);
    const [, slot] = (await core.ask(ROOT, 'ListSlots', {})).slots;
    await core.ask(ROOT, 'RemoveSlot', { id: slot?.id ?? assert.fail('no slot') });
    assert.equal((await core.call(ROOT, 'AddSlot', { kind: 'recovery' })).error, undefined, 'places are given back');
  });
});

describe('AddSlot: refuses', () => {
  const badLabel = { name: 'label', reason: 'it is not a line of 1 to 64 characters' };
  const badPassphrase = { name: 'passphrase', reason: 'it is empty or too long' };
  const badPath = { name: 'path', reason: 'it is not a normalized absolute path' };
  const badCredential = { name: 'credential', reason: 'it is not a name of a systemd credential' };
  for (const [parameters, fields] of [
    [{ kind: 'recovery', label: '' }, badLabel],
    [{ kind: 'recovery', label: 'x'.repeat(65) }, badLabel],
    [{ kind: 'recovery', label: 'two\nlines' }, badLabel],
    [{ kind: 'recovery', label: '\u001b[2J' }, badLabel],
    [{ kind: 'passphrase' }, badPassphrase],
    [{ kind: 'passphrase', passphrase: '' }, badPassphrase],
    [{ kind: 'passphrase', passphrase: 'x'.repeat(1025) }, badPassphrase],
    [{ kind: 'keyfile' }, badPath],
    [{ kind: 'keyfile', path: 'relative.key' }, badPath],
    [{ kind: 'keyfile', path: '/a/../b.key' }, badPath],
    [{ kind: 'keyfile', path: '/a//b.key' }, badPath],
    [{ kind: 'keyfile', path: '/a\0b' }, badPath],
    [{ kind: 'keyfile', path: `/${'x'.repeat(4096)}` }, badPath],
    [{ kind: 'systemd', credential: '' }, badCredential],
    [{ kind: 'systemd', credential: '..' }, badCredential],
    [{ kind: 'systemd', credential: 'a/b' }, badCredential],
    [{ kind: 'systemd', credential: 'x'.repeat(256) }, badCredential],
  ] as const satisfies readonly (readonly [AddSlotIn, object])[]) {
    it(JSON.stringify(parameters).slice(0, 70), async (t) => {
      const core = await startCore(t);
      assert.deepEqual(await core.refusal(ROOT, 'AddSlot', parameters), ['InvalidValue', fields]);
      assert.equal((await core.ask(ROOT, 'ListSlots', {})).slots.length, 1);
    });
  }

  it('an existing key file, and leaves it unchanged', async (t) => {
    const core = await startCore(t);
    const path = join(temporaryDirectory(t), 'second.key');
    writeFileSync(path, 'somebody needs this');
    const [error, fields] = await core.refusal(ROOT, 'AddSlot', { kind: 'keyfile', path });
    assert.deepEqual([error, (fields as { name: string }).name], ['InvalidValue', 'path']);
    assert.equal(readFileSync(path, 'utf8'), 'somebody needs this');
  });

  it('a symbolic link in place of a key file, without following it', async (t) => {
    const core = await startCore(t);
    const directory = temporaryDirectory(t);
    const path = join(directory, 'link.key');
    symlinkSync(join(directory, 'target'), path);
    assert.equal((await core.refusal(ROOT, 'AddSlot', { kind: 'keyfile', path }))[0], 'InvalidValue');
    assert.equal(statSync(join(directory, 'target'), { throwIfNoEntry: false }), undefined);
  });

  for (const name of [
    'credentials.db-journal',
    'credentials.db.before-restore',
    'copies',
    'copies/second.key',
    'lock',
    'root.key.0123456789abcdef.tmp',
  ]) {
    it(`${name} in the state directory, a name of the daemon's own files`, async (t) => {
      const core = await startCore(t);
      const before = readdirSync(core.directory);
      const reason = "a file of that name in the state directory is the daemon's own";
      assert.deepEqual(await core.refusal(ROOT, 'AddSlot', { kind: 'keyfile', path: join(core.directory, name) }), [
        'InvalidValue',
        { name: 'path', reason },
      ]);
      assert.deepEqual(readdirSync(core.directory), before);
      const path = join(core.directory, `my-${name.replace('/', '-').replace(/tmp$/, 'key')}`);
      assert.equal((await core.call(ROOT, 'AddSlot', { kind: 'keyfile', path })).error, undefined);
    });
  }

  it('a missing directory', async (t) => {
    const core = await startCore(t);
    const path = join(temporaryDirectory(t), 'no', 'second.key');
    assert.equal((await core.refusal(ROOT, 'AddSlot', { kind: 'keyfile', path }))[0], 'InvalidValue');
  });

  it('a systemd credential that systemd did not give', async (t) => {
    const core = await startCore(t);
    for (const credential of ['my-key', undefined]) {
      const parameters = { kind: 'systemd', ...(credential === undefined ? {} : { credential }) } as const;
      assert.equal((await core.refusal(ROOT, 'AddSlot', parameters))[0], 'InvalidValue');
    }
  });

  it('an unknown kind', async (t) => {
    const core = await startCore(t);
    for (const kind of ['tpm2', '', 'constructor', 1, null]) {
      assert.deepEqual(await core.call(ROOT, 'AddSlot', { kind }), {
        error: 'org.varlink.service.InvalidParameter',
        parameters: { parameter: 'kind' },
      });
    }
  });
});
