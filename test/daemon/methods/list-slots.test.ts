import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, RESTIC, ROOT, START_TIME, startCore } from '../core.ts';

describe('ListSlots', () => {
  it('returns the public fields of the slots, locked or not', async (t) => {
    const core = await startCore(t);
    core.now += 1000;
    const { slot } = await core.ask(ROOT, 'AddSlot', { kind: 'recovery', label: 'in the safe' });
    for (let round = 0; round < 2; round += 1) {
      const { slots } = await core.ask(ROOT, 'ListSlots', {});
      const keyFile = slots.find(({ kind }) => kind === 'keyfile') ?? assert.fail();
      assert.match(keyFile.id, /^[0-9a-f]{8}$/);
      assert.deepEqual({ ...keyFile, id: '' }, { id: '', kind: 'keyfile', created: START_TIME, label: 'root.key' });
      assert.deepEqual(
        slots.find(({ id }) => id === slot.id),
        {
          id: slot.id,
          kind: 'recovery',
          created: START_TIME + 1000,
          label: 'in the safe',
        },
      );
      await core.ask(ROOT, 'Lock', {});
    }
  });

  it('is refused to anyone but administrators', async (t) => {
    const core = await startCore(t);
    for (const person of [ALICE, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'ListSlots', {}), ['AccessDenied', { right: 'administer' }]);
    }
  });
});
