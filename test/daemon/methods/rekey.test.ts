import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import { VALUE_IN_OWN_RECORD, flipBit, newTags, recordsIn } from '../damage.ts';

describe('Rekey', () => {
  it('seals every record again, and loses none', async (t) => {
    const before = await startCore(t);
    for (const value of ['first', 'second']) await before.replace(ROOT, 'token', value);
    await before.create(ALICE, 'cio_aws_access_key');
    await before.ask(ALICE, 'Grant', { target: 'aws', grantees: [{ unit: 'restic.service' }] });
    const sealed = ['principal', 'credential', 'value', 'names', 'dataKey'] as const;
    const bodies = sealed.flatMap((kind) => [...recordsIn(before.storePath, kind).values()]);
    const { keyEpoch, records } = await before.ask(ROOT, 'Rekey', {});
    assert.deepEqual([keyEpoch, records], [2, bodies.length - 1]);
    const now = new Set(sealed.flatMap((kind) => [...recordsIn(before.storePath, kind).values()]));
    assert.ok(bodies.every((body) => !now.has(body)));
    assert.equal(now.size, bodies.length);
    for (const core of [before, await restartCore(t, before)]) {
      assert.equal(await core.value(ROOT, 'token').catch(() => 'closed'), core === before ? 'closed' : 'second');
      if (core === before) continue;
      assert.equal((await core.ask(ROOT, 'Get', { name: 'token', version: 1 })).value, 'first');
      assert.equal(await core.value(RESTIC, 'cio_aws_access_key', ALICE.uid), 'value-of-cio_aws_access_key');
      assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
      assert.equal((await core.ask(ROOT, 'Status', {})).keyEpoch, 2);
    }
  });

  it('does not block reads, and runs writes that came meanwhile afterwards', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...Array.from({ length: 400 }, (_, index) => `name-${index}`));
    const rekey = core.ask(ROOT, 'Rekey', {});
    const write = core.replace(ROOT, 'name-7', 'changed');
    assert.equal(await core.value(ROOT, 'name-7'), 'value-of-name-7');
    assert.equal((await rekey).keyEpoch, 2);
    await write;
    assert.equal(await core.value(ROOT, 'name-7'), 'changed');
    assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
  });

  it('increments the epoch each time, even for concurrent calls', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const epochs = await Promise.all([1, 2, 3].map(async () => (await core.ask(ROOT, 'Rekey', {})).keyEpoch));
    assert.deepEqual(epochs, [2, 3, 4]);
    assert.equal(await core.value(ROOT, 'token'), 'value-of-token');
  });

  it('changes nothing in a store with a damaged record, and names the damaged credential', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'first');
    const records = recordsIn(before.storePath, 'value');
    await before.replace(ROOT, 'broken', VALUE_IN_OWN_RECORD);
    const [tag = ''] = newTags(records, recordsIn(before.storePath, 'value'));
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'value', tag));
    assert.deepEqual(await core.refusal(ROOT, 'Rekey', {}), ['Damaged', { name: 'broken' }]);
    assert.equal((await core.ask(ROOT, 'Status', {})).keyEpoch, 1);
    assert.equal(await core.value(ROOT, 'first'), 'value-of-first');
    await core.create(ROOT, 'later');
  });

  it('is refused to anyone but administrators, and while the store is locked', async (t) => {
    const core = await startCore(t);
    for (const person of [ALICE, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'Rekey', {}), ['AccessDenied', { right: 'administer' }]);
    }
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Rekey', {}), ['Locked', {}]);
  });
});
