import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, BOB, ROOT, START_TIME, restartCore, startCore } from '../core.ts';
import { deleteRecord, recordsIn } from '../damage.ts';

describe('Status', () => {
  it('shows an administrator everything', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a', 'b');
    await core.create(ROOT, 'c');
    await core.create(ALICE, 'd');
    const { slots } = await core.ask(ROOT, 'ListSlots', {});
    for (const person of [ROOT, { uid: 2000 }]) {
      const { storeId, ...status } = await core.ask(person, 'Status', {});
      assert.match(storeId ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.deepEqual(status, {
        version: '1.2.3',
        pid: process.pid,
        uid: process.getuid?.(),
        started: START_TIME,
        locked: false,
        administrator: true,
        credentials: 3,
        generation: 2,
        slots,
        keyEpoch: 1,
        keysLocked: false,
        undumpable: true,
        stateDirectory: core.directory,
        waiting: 0,
        failing: 0,
      });
    }
  });

  it('shows a user the daemon and their own credentials', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a', 'b');
    await core.create(ALICE, 'c');
    await core.replace(ALICE, 'c', 'new');
    const daemon = { version: '1.2.3', pid: process.pid, uid: process.getuid?.(), started: START_TIME };
    const common = { ...daemon, locked: false, administrator: false };
    assert.deepEqual(await core.ask(ALICE, 'Status', {}), { ...common, credentials: 1, generation: 2 });
    assert.deepEqual(await core.ask(BOB, 'Status', {}), { ...common, credentials: 0, generation: 0 });
  });

  it('shows a user the same, whatever others store and grant', async (t) => {
    const core = await startCore(t);
    await core.create(BOB, 'mine');
    const before = await core.ask(BOB, 'Status', {});
    await core.create(ROOT, 'a', 'b');
    await core.create(ALICE, 'c');
    await core.ask(ROOT, 'Grant', { target: 'a', grantees: [{ uid: BOB.uid }, { gid: BOB.uid }] });
    await core.ask(ALICE, 'Grant', { target: 'c', grantees: [{ uid: BOB.uid }] });
    assert.deepEqual(await core.ask(BOB, 'Status', {}), before);
  });

  it('counts the present credentials', async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE]) {
      await core.create(person, 'a', 'b', 'c');
      await core.ask(person, 'Remove', { names: ['a', 'b'] });
      const { credentials, generation } = await core.ask(person, 'Status', {});
      assert.deepEqual([credentials, generation], [1, 2]);
    }
  });

  it('shows that the store is locked and how to unlock it, but nothing of its contents', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a');
    await core.create(ALICE, 'a');
    const open = await core.ask(ROOT, 'Status', {});
    await core.ask(ROOT, 'Lock', {});
    const { credentials: _, generation: __, keyEpoch: ___, failing: ____, ...rest } = { ...open, locked: true };
    assert.deepEqual(await core.ask(ROOT, 'Status', {}), rest);
    const alices = await core.ask(ALICE, 'Status', {});
    assert.deepEqual(
      [alices.locked, alices.credentials, alices.generation, alices.slots],
      [true, undefined, undefined, undefined],
    );
  });

  it('shows an administrator the result of the last self-check', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    assert.equal((await core.ask(ROOT, 'Status', {})).intact, undefined);
    await core.selfCheck.run();
    assert.equal((await core.ask(ROOT, 'Status', {})).intact, true);
    assert.equal((await core.ask(ALICE, 'Status', {})).intact, undefined);
    const again = await restartCore(t, core, () => {
      for (const tag of recordsIn(core.storePath, 'credential').keys()) deleteRecord(core.storePath, 'credential', tag);
    });
    await again.selfCheck.run();
    assert.equal((await again.ask(ROOT, 'Status', {})).intact, false);
    await again.ask(ROOT, 'Lock', {});
    assert.equal((await again.ask(ROOT, 'Status', {})).intact, undefined);
  });
});
