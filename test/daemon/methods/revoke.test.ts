import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, BOB, RESTIC, ROOT, startCore } from '../core.ts';

describe('Revoke', () => {
  it('revokes the grants of the named grantees', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'other');
    const grantees = [{ uid: ALICE.uid }, { uid: BOB.uid }, { unit: 'restic.service' }];
    for (const target of ['token', 'other']) await core.ask(ROOT, 'Grant', { target, grantees });
    assert.deepEqual(
      await core.ask(ROOT, 'Revoke', { target: 'token', grantees: [{ uid: ALICE.uid }, { unit: 'restic.service' }] }),
      { generation: 4, revoked: 2 },
    );
    for (const person of [ALICE, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'Get', { name: 'token' }), ['NotFound', { name: 'token' }]);
      assert.equal(await core.value(person, 'other'), 'value-of-other');
    }
    assert.equal(await core.value(BOB, 'token'), 'value-of-token');
  });

  it('counts the grants that existed', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: 1 }, { uid: 2 }] });
    const revoke = async (...uids: number[]): Promise<number> =>
      (await core.ask(ROOT, 'Revoke', { target: 'token', grantees: uids.map((uid) => ({ uid })) })).revoked;
    assert.equal(await revoke(1, 1, 3), 1);
    assert.equal(await revoke(1), 0);
    assert.equal(await revoke(2), 1);
    await core.create(ROOT, 'other');
    await core.ask(ROOT, 'Grant', { target: 'other', grantees: [{ uid: 1 }] });
    assert.equal(await revoke(1), 0, 'he has something else');
  });

  it('revokes the grant of the only unit that waits for a missing credential', async (t) => {
    const core = await startCore(t);
    const grantees = [{ unit: 'restic.service', missing: 'block' as const }];
    await core.ask(ROOT, 'Grant', { target: 'later', grantees });
    assert.equal((await core.ask(ROOT, 'Revoke', { target: 'later', grantees })).revoked, 1);
    assert.equal((await core.refusal(ROOT, 'Revoke', { target: 'later', grantees }))[0], 'NotFound');
  });

  it('of one field keeps the grant of its set, and the other way round', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key');
    const grantees = [{ uid: ALICE.uid }];
    for (const target of ['aws', 'cio_aws_access_key']) await core.ask(ROOT, 'Grant', { target, grantees });
    await core.ask(ROOT, 'Revoke', { target: 'cio_aws_access_key', grantees });
    await core.value(ALICE, 'cio_aws_access_key');
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees });
    await core.ask(ROOT, 'Revoke', { target: 'aws', grantees });
    await core.value(ALICE, 'cio_aws_access_key');
    assert.equal((await core.refusal(ALICE, 'Get', { name: 'cio_aws_secret_key' }))[0], 'NotFound');
  });

  it('of a template keeps the grants of its instances by name', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const grantees = [{ unit: 'restic@.service' }, { unit: 'restic@home.service' }];
    await core.ask(ROOT, 'Grant', { target: 'token', grantees });
    await core.ask(ROOT, 'Revoke', { target: 'token', grantees: grantees.slice(0, 1) });
    await core.value({ uid: 1, unit: 'restic@home.service' }, 'token');
    assert.equal((await core.refusal({ uid: 1, unit: 'restic@srv.service' }, 'Get', { name: 'token' }))[0], 'NotFound');
  });

  it("revokes only the same owner's grants", async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, BOB]) {
      await core.create(person, 'token');
      await core.ask(person, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    }
    await core.ask(BOB, 'Revoke', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    assert.equal(await core.value(ALICE, 'token', 0), 'value-of-token');
    assert.equal((await core.refusal(ALICE, 'Get', { name: 'token', owner: BOB.uid }))[0], 'NotFound');
  });

  it('does not find a missing target, or one that the caller may not see', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const grantees = [{ uid: ALICE.uid }];
    assert.deepEqual(await core.refusal(ROOT, 'Revoke', { target: 'none', grantees }), ['NotFound', { name: 'none' }]);
    assert.deepEqual(await core.refusal(ALICE, 'Revoke', { target: 'token', grantees }), [
      'NotFound',
      { name: 'token' },
    ]);
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Revoke', { target: 'token', grantees: [{ uid: 1 }] }), ['Locked', {}]);
  });
});
