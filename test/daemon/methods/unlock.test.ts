import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALICE, RESTIC, ROOT, startCore } from '../core.ts';
import type { Core } from '../core.ts';

/** Makes a locked store with the given slot besides its key file. */
async function lockedCore(
  t: Parameters<typeof startCore>[0],
  kind: 'passphrase' | 'recovery',
): Promise<{ core: Core; id: string; code: string }> {
  const core = await startCore(t);
  await core.create(ROOT, 'token');
  const parameters = kind === 'passphrase' ? { kind, passphrase: 'pässword' } : { kind };
  const { slot, recoveryCode } = await core.ask(ROOT, 'AddSlot', parameters);
  await core.ask(ROOT, 'Lock', {});
  return { core, id: slot.id, code: recoveryCode ?? '' };
}

/** Returns why the only slot that needs no secret does not open the store. */
async function troubleOf(core: Core): Promise<string> {
  const [error, fields] = await core.refusal(ROOT, 'Unlock', {});
  assert.equal(error, 'UnlockFailed');
  const { reason, troubles = [] } = fields as { readonly reason: string; readonly troubles?: readonly string[] };
  assert.deepEqual([reason, troubles.length], ['wrong_secret', 1]);
  return troubles[0] ?? '';
}

describe('Unlock', () => {
  it('is refused to anyone but administrators, even with the right secret', async (t) => {
    const { core, code } = await lockedCore(t, 'recovery');
    for (const person of [ALICE, RESTIC]) {
      for (const parameters of [{}, { recoveryCode: code }, { passphrase: 'x' }]) {
        assert.deepEqual(await core.refusal(person, 'Unlock', parameters), ['AccessDenied', { right: 'administer' }]);
      }
    }
    assert.equal(core.vault.isLocked, true);
  });

  it('without a secret tries the unattended slots', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Lock', {});
    const [slot] = (await core.ask(ROOT, 'ListSlots', {})).slots;
    assert.deepEqual(await core.ask(ROOT, 'Unlock', {}), { slot: slot?.id });
    assert.equal(await core.value(ROOT, 'token'), 'value-of-token');
  });

  it("unlocks with a slot's passphrase in any Unicode normalization, one call at a time", async (t) => {
    const { core, id } = await lockedCore(t, 'passphrase');
    const wrong = core.refusal(ROOT, 'Unlock', { passphrase: 'password' });
    assert.deepEqual(await core.refusal(ROOT, 'Unlock', { passphrase: 'pässword' }), ['Busy', {}]);
    assert.deepEqual(await wrong, ['UnlockFailed', { reason: 'wrong_secret' }]);
    assert.equal(core.vault.isLocked, true);
    assert.deepEqual(await core.ask(ROOT, 'Unlock', { passphrase: 'pa\u0308ssword' }), { slot: id });
    assert.equal(await core.value(ROOT, 'token'), 'value-of-token');
  });

  it('unlocks nothing with a slot that was removed while its key was derived', async (t) => {
    const core = await startCore(t);
    const { slot } = await core.ask(ROOT, 'AddSlot', { kind: 'passphrase', passphrase: 'old' });
    const overtaken = core.refusal(ROOT, 'Unlock', { passphrase: 'old' });
    await core.ask(ROOT, 'RemoveSlot', { id: slot.id });
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await overtaken, ['UnlockFailed', { reason: 'wrong_secret' }]);
    assert.equal(core.vault.isLocked, true);
  });

  it('unlocks with a recovery code in any way of writing it', async (t) => {
    const { core, id, code } = await lockedCore(t, 'recovery');
    for (const recoveryCode of [
      code,
      code.toLowerCase(),
      code.replaceAll('-', ' '),
      ` ${code.replaceAll('-', '')}\n`,
    ]) {
      assert.deepEqual(await core.ask(ROOT, 'Unlock', { recoveryCode }), { slot: id });
      await core.ask(ROOT, 'Lock', {});
    }
  });

  it('distinguishes a mistyped recovery code from the code of another store', async (t) => {
    const { core, code } = await lockedCore(t, 'recovery');
    const other = await lockedCore(t, 'recovery');
    const slip = `${code.startsWith('0') ? '1' : '0'}${code.slice(1)}`;
    for (const recoveryCode of ['', 'x', slip, code.slice(1)]) {
      assert.deepEqual(await core.refusal(ROOT, 'Unlock', { recoveryCode }), ['UnlockFailed', { reason: 'bad_code' }]);
    }
    assert.deepEqual(await core.refusal(ROOT, 'Unlock', { recoveryCode: other.code }), [
      'UnlockFailed',
      { reason: 'wrong_secret' },
    ]);
  });

  it('reports that there is no slot of that kind', async (t) => {
    const { core, code } = await lockedCore(t, 'recovery');
    const noSlot = ['UnlockFailed', { reason: 'no_slot' }];
    assert.deepEqual(await core.refusal(ROOT, 'Unlock', { passphrase: 'x' }), noSlot);
    await core.ask(ROOT, 'Unlock', {});
    const { slots } = await core.ask(ROOT, 'ListSlots', {});
    await core.ask(ROOT, 'RemoveSlot', { id: slots.find(({ kind }) => kind === 'recovery')?.id ?? '' });
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Unlock', { recoveryCode: code }), noSlot);
  });

  it('fails without a secret if the key file is missing or another one, or if there is no such slot', async (t) => {
    const { core, code } = await lockedCore(t, 'recovery');
    const keyFile = join(core.directory, 'root.key');
    writeFileSync(keyFile, `${Buffer.alloc(32).toString('base64')}\n`);
    assert.match(await troubleOf(core), /^slot [0-9a-f]{8} \(keyfile\): the key is not the one of this slot$/);
    rmSync(keyFile);
    assert.ok((await troubleOf(core)).endsWith(`: cannot read the key file ${keyFile}: no such file or directory`));
    mkdirSync(keyFile);
    assert.ok((await troubleOf(core)).endsWith(`: ${keyFile} is not a regular file`));
    assert.equal(core.vault.isLocked, true);
    await core.ask(ROOT, 'Unlock', { recoveryCode: code });
    const { slots } = await core.ask(ROOT, 'ListSlots', {});
    await core.ask(ROOT, 'RemoveSlot', { id: slots.find(({ kind }) => kind === 'keyfile')?.id ?? '' });
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Unlock', {}), ['UnlockFailed', { reason: 'no_slot' }]);
  });

  it('refuses both secrets at once, and repeats neither', async (t) => {
    const { core, code } = await lockedCore(t, 'recovery');
    assert.deepEqual(await core.refusal(ROOT, 'Unlock', { passphrase: 'x', recoveryCode: code }), [
      'InvalidValue',
      { name: 'passphrase', reason: 'a recovery code was given as well' },
    ]);
  });

  it('leaves an unlocked store unlocked', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const { recoveryCode = '' } = await core.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    await core.ask(ROOT, 'Unlock', {});
    await core.ask(ROOT, 'Unlock', { recoveryCode });
    assert.equal((await core.refusal(ROOT, 'Unlock', { recoveryCode: 'x' }))[0], 'UnlockFailed');
    assert.equal(await core.value(ROOT, 'token'), 'value-of-token');
  });
});
