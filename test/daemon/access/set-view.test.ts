import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findSet, viewSet, wholeSet } from '../../../daemon/access/set-view.ts';
import { ALICE, BOB, RESTIC, ROOT, START_TIME, startCore } from '../core.ts';

describe('viewSet()', () => {
  it('returns the fields that the caller may read, and everything derived from them alone', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    core.now += 1000;
    await core.create(ROOT, 'cio_aws_secret_key');
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ unit: 'restic.service' }] });
    const view = (person: typeof RESTIC): object | undefined =>
      core.vault.read((reader) => {
        const found = viewSet(core.caller(person), reader, 'system', 'aws');
        return found && { ...found, members: [...found.members.keys()], provider: found.provider?.id };
      });
    const common = { set: 'aws', space: 'system', provider: 'aws' };
    assert.deepEqual(view(ROOT), {
      ...common,
      members: ['access_key', 'secret_key'].toSorted((a, b) => b.length - a.length || (a < b ? -1 : 1)),
      missing: ['backup_repo', 'backup_password'],
      generation: 2,
      changed: START_TIME + 1000,
    });
    assert.deepEqual(view(RESTIC), {
      ...common,
      members: ['access_key'],
      missing: ['backup_repo', 'secret_key', 'backup_password'],
      generation: 1,
      changed: START_TIME,
    });
    assert.equal(view(ALICE), undefined);
  });

  it('does not look up fields that the caller may not read', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key');
    core.store.reads.length = 0;
    core.vault.read((reader) => viewSet(core.caller(ALICE), reader, 'system', 'aws'));
    assert.deepEqual(core.store.reads, []);
  });
});

describe('viewSet() of a set named like a property of every object', () => {
  it('uses only a number as its generation', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_constructor_access_key', 'cio_constructor_secret_key', 'gone');
    await core.ask(ROOT, 'Remove', { names: ['gone'] });
    const generations = async (): Promise<unknown[]> => {
      const { sets } = await core.ask(ROOT, 'List', {});
      const set = await core.ask(ROOT, 'GetSet', { set: 'constructor', allowIncomplete: true });
      const whole = core.vault.read((reader) => wholeSet(reader, 'system', 'constructor'));
      return [sets[0]?.generation, set.generation, whole.generation];
    };
    assert.deepEqual(await generations(), [1, 1, 1]);
    await core.ask(ROOT, 'Remove', { names: ['cio_constructor_secret_key'] });
    assert.deepEqual(await generations(), [3, 3, 3]);
  });
});

describe('viewSet() of a set that was read before', () => {
  it('reads nothing from the store, and sees every change', async (t) => {
    const core = await startCore(t);
    const fieldsSeenBy = (person: typeof RESTIC): string[] =>
      core.vault.read((reader) => [...(viewSet(core.caller(person), reader, 'system', 'aws')?.members.keys() ?? [])]);
    await core.create(ROOT, 'cio_aws_access_key');
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ unit: 'restic.service' }] });
    assert.deepEqual(fieldsSeenBy(ROOT), ['access_key']);
    core.store.reads.length = 0;
    for (const person of [ROOT, RESTIC]) assert.deepEqual(fieldsSeenBy(person), ['access_key']);
    assert.deepEqual(core.store.reads, []);
    await core.create(ROOT, 'cio_aws_region');
    for (const person of [ROOT, RESTIC]) assert.deepEqual(fieldsSeenBy(person), ['access_key', 'region']);
    await core.ask(ROOT, 'Remove', { names: ['cio_aws_access_key'] });
    for (const person of [ROOT, RESTIC]) assert.deepEqual(fieldsSeenBy(person), ['region']);
    await core.ask(ROOT, 'Remove', { names: ['aws'] });
    for (const person of [ROOT, RESTIC]) assert.deepEqual(fieldsSeenBy(person), []);
  });
});

describe('findSet()', () => {
  it("searches the caller's own space, then the shared one, and a third user’s only if named", async (t) => {
    const core = await startCore(t);
    const find = (person: typeof ALICE, owner?: number): string | undefined =>
      core.vault.read((reader) => findSet(core.caller(person), reader, 'aws', owner)?.space);
    await core.create(BOB, 'cio_aws_access_key');
    await core.ask(BOB, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    assert.deepEqual(
      [find(ALICE), find(ALICE, BOB.uid), find(ROOT), find(ROOT, BOB.uid)],
      [undefined, 'uid:3002', undefined, 'uid:3002'],
    );
    await core.create(ROOT, 'cio_aws_access_key');
    assert.deepEqual([find(ALICE), find(ROOT)], [undefined, 'system']);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    assert.equal(find(ALICE), 'system');
    await core.create(ALICE, 'cio_aws_secret_key');
    assert.deepEqual([find(ALICE), find(ALICE, 0)], ['uid:3001', 'system']);
  });
});
