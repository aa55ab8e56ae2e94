import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, ROOT, startCore } from '../core.ts';

describe('RemoveSlot', () => {
  it('removes a slot, which opens nothing any more', async (t) => {
    const core = await startCore(t);
    const { slot, recoveryCode = '' } = await core.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    assert.deepEqual(await core.ask(ROOT, 'RemoveSlot', { id: slot.id }), {});
    assert.equal((await core.ask(ROOT, 'ListSlots', {})).slots.length, 1);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Unlock', { recoveryCode }), ['UnlockFailed', { reason: 'no_slot' }]);
  });

  it('keeps the last slot', async (t) => {
    const core = await startCore(t);
    const [slot] = (await core.ask(ROOT, 'ListSlots', {})).slots;
    assert.deepEqual(await core.refusal(ROOT, 'RemoveSlot', { id: slot?.id ?? '' }), ['LastSlot', {}]);
    assert.equal((await core.ask(ROOT, 'ListSlots', {})).slots.length, 1);
  });

  it('keeps one of two slots that are removed at once', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    const { slots } = await core.ask(ROOT, 'ListSlots', {});
    const replies = await Promise.all(slots.map(({ id }) => core.call(ROOT, 'RemoveSlot', { id })));
    assert.deepEqual(
      replies.map(({ error }) => error),
      [undefined, 'io.cio.Credentials.LastSlot'],
    );
    assert.equal((await core.ask(ROOT, 'ListSlots', {})).slots.length, 1);
  });

  it('does not find an id that no slot has', async (t) => {
    const core = await startCore(t);
    assert.deepEqual(await core.refusal(ROOT, 'RemoveSlot', { id: '00000000' }), ['NotFound', { name: '00000000' }]);
  });

  it('does not repeat a text that is not an id', async (t) => {
    const core = await startCore(t);
    for (const id of [
      '',
      'a pasted secret',
      'x'.repeat(100_000),
      '0000000g',
      '00000000 a secret',
      'a secret 00000000',
    ]) {
      const [error, fields] = await core.refusal(ROOT, 'RemoveSlot', { id });
      assert.deepEqual([error, fields], ['NotFound', { name: '' }]);
    }
  });

  it('is refused to anyone but administrators, for any id', async (t) => {
    const core = await startCore(t);
    const [slot] = (await core.ask(ROOT, 'ListSlots', {})).slots;
    for (const id of [slot?.id ?? '', '00000000']) {
      assert.deepEqual(await core.refusal(ALICE, 'RemoveSlot', { id }), ['AccessDenied', { right: 'administer' }]);
    }
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    for (const id of ['00000000', 'x'])
      assert.deepEqual(await core.refusal(ROOT, 'RemoveSlot', { id }), ['Locked', {}]);
  });
});
