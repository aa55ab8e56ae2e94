import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, BOB, RESTIC, ROOT, START_TIME, startCore } from '../core.ts';

describe('History', () => {
  it('returns the kept versions, newest first, without values', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    core.now += 1000;
    await core.create(ROOT, 'other');
    await core.replace({ uid: 2000 }, 'token', 'longer than before');
    await core.ask(ROOT, 'Rollback', { target: 'token' });
    assert.deepEqual(await core.ask(ROOT, 'History', { name: 'token' }), {
      name: 'token',
      versions: [
        {
          version: 3,
          generation: 4,
          changed: START_TIME + 1000,
          changedBy: 0,
          size: 14,
          current: true,
          restoredFrom: 1,
        },
        { version: 2, generation: 3, changed: START_TIME + 1000, changedBy: 2000, size: 18, current: false },
        { version: 1, generation: 1, changed: START_TIME, changedBy: 0, size: 14, current: false },
      ],
    });
  });

  it('accepts every spelling, and answers with the canonical one', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_backup_password');
    assert.equal(
      (await core.ask(ROOT, 'History', { name: 'cio_aws_restic_password' })).name,
      'cio_aws_backup_password',
    );
  });

  it('does not find a missing name, a set, or a credential that the caller may not see', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    await core.create(BOB, 'bobs');
    for (const [person, name, owner] of [
      [ROOT, 'none', 0],
      [ROOT, 'aws', 0],
      [ROOT, 'bobs', 0],
      [ALICE, 'cio_aws_access_key', 0],
      [ALICE, 'bobs', BOB.uid],
    ] as const) {
      assert.deepEqual(await core.refusal(person, 'History', { name, owner }), ['NotFound', { name }]);
    }
    assert.equal((await core.refusal(ROOT, 'History', { name: 'A' }))[0], 'InvalidName');
  });

  it('is denied to mere grantees', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service' }] });
    assert.deepEqual(await core.refusal(RESTIC, 'History', { name: 'token' }), [
      'AccessDenied',
      { name: 'token', right: 'write' },
    ]);
  });

  it('is for the owner, and for an administrator who names the owner', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'token');
    assert.equal((await core.ask(ALICE, 'History', { name: 'token' })).versions[0]?.changedBy, ALICE.uid);
    assert.equal((await core.ask(ROOT, 'History', { name: 'token', owner: ALICE.uid })).versions.length, 1);
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'History', { name: 'token' }), ['Locked', {}]);
  });
});
