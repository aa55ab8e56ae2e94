import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VaultTransaction } from '../../../daemon/vault/transaction.ts';
import { ITEMS_PER_CALL_MAX } from '../../../src/limits.ts';
import { ALICE, BOB, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';
import { VALUE_IN_OWN_RECORD, flipBit, newTags, recordsIn } from '../damage.ts';

const AWS = ['cio_aws_backup_repo', 'cio_aws_access_key', 'cio_aws_secret_key', 'cio_aws_backup_password'] as const;
const NO_SET = '0191e1f0-7c3a-5000-8000-00000000000a';

async function names(core: Core, person: Person): Promise<string[]> {
  return (await core.ask(person, 'List', {})).credentials.map(({ name }) => name).toSorted();
}

describe('Remove', () => {
  it('removes credentials as one generation', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a', 'b', 'c');
    assert.deepEqual(await core.ask(ROOT, 'Remove', { names: ['a', 'c'] }), { generation: 2, removed: ['a', 'c'] });
    assert.deepEqual(await names(core, ROOT), ['b']);
    assert.equal((await core.ask(ROOT, 'Status', {})).credentials, 1);
  });

  it('removes every kept version from the file', async (t) => {
    const core = await startCore(t);
    for (const value of ['1', '2', '3']) await core.replace(ROOT, 'token', value);
    assert.equal(recordsIn(core.storePath, 'value').size, 2);
    await core.ask(ROOT, 'Remove', { names: ['token'] });
    assert.equal(recordsIn(core.storePath, 'value').size, 0);
    assert.equal(recordsIn(core.storePath, 'credential').size, 0);
  });

  it('lets a name be created again, without its history', async (t) => {
    const core = await startCore(t);
    for (const value of ['1', '2']) await core.replace(ROOT, 'token', value);
    await core.ask(ROOT, 'Remove', { names: ['token'] });
    await core.create(ROOT, { name: 'token', value: 'anew' });
    const { versions } = await core.ask(ROOT, 'History', { name: 'token' });
    assert.deepEqual(
      versions.map(({ version, generation }) => [version, generation]),
      [[1, 4]],
    );
    assert.equal((await core.refusal(ROOT, 'Rollback', { target: 'token' }))[0], 'InvalidValue');
  });

  it('removes a whole set by its name, another spelling of it, or its UUID', async (t) => {
    const core = await startCore(t);
    for (const spelling of ['aws_alt', 'alt_aws', 'uuid']) {
      const members = AWS.map((name) => name.replace('aws', 'aws_alt'));
      await core.create(ROOT, ...members, ...(spelling === 'aws_alt' ? ['cio_aws_access_key', 'token'] : []));
      const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws_alt' });
      const { removed } = await core.ask(ROOT, 'Remove', { names: [spelling === 'uuid' ? uuid : spelling] });
      assert.deepEqual(removed.toSorted(), members.toSorted());
      assert.deepEqual(await names(core, ROOT), ['cio_aws_access_key', 'token']);
    }
  });

  it('looks up each credential of a set once', async (t) => {
    const core = await startCore(t);
    const fields = ['region', 'bucket', 'endpoint'];
    const sets = Array.from({ length: 10 }, (_, index) => `aws_${index}`);
    const all = sets.flatMap((set) => fields.map((field) => `cio_${set}_${field}`));
    const values = ['eu-west-1', 'bucket-1', 'https://s3.example.com'];
    const { generation } = await core.ask(ROOT, 'Create', {
      credentials: all.map((name, index) => ({ name, value: values[index % fields.length] ?? '' })),
    });
    // The transaction caches look-ups, so count its calls and not those of the store.
    const looked = t.mock.method(VaultTransaction.prototype, 'credential');
    const { removed } = await core.ask(ROOT, 'Remove', { names: sets, ifGeneration: generation });
    assert.equal(removed.length, all.length);
    const looks = looked.mock.callCount();
    assert.ok(looks <= sets.length + all.length, `${looks} looks for ${all.length} credentials`);
  });

  it('removes a credential once that is named twice: by name, spelling, set and UUID', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws' });
    const { removed } = await core.ask(ROOT, 'Remove', {
      names: ['cio_aws_restic_repo', 'cio_aws_backup_repo', 'aws', uuid],
    });
    assert.deepEqual(removed.toSorted(), AWS.toSorted());
    assert.equal((await core.ask(ROOT, 'Status', {})).credentials, 0);
  });

  it('prefers a credential to a set of that name', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'aws', 'cio_aws_access_key');
    assert.deepEqual((await core.ask(ROOT, 'Remove', { names: ['aws'] })).removed, ['aws']);
    assert.deepEqual((await core.ask(ROOT, 'Remove', { names: ['aws'] })).removed, ['cio_aws_access_key']);
  });

  for (const [what, name, error] of [
    ['does not exist', 'none', ['NotFound', { name: 'none' }]],
    ['is the UUID of no set', NO_SET, ['NotFound', { name: NO_SET }]],
    ['is a pattern', 'tok*', ['InvalidName', { name: 'tok', reason: 'character 4 is not one of a-z, 0-9 and _ . -' }]],
    ['is empty', '', ['InvalidName', { name: '', reason: 'it is empty' }]],
  ] as const) {
    it(`removes nothing if one of several names ${what}`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'token', ...AWS);
      for (const names of [
        ['token', name],
        [name, 'aws'],
      ]) {
        assert.deepEqual(await core.refusal(ROOT, 'Remove', { names }), error);
      }
      assert.equal((await names(core, ROOT)).length, 5);
      assert.equal((await core.ask(ROOT, 'Status', {})).generation, 1);
    });
  }

  it('refuses a call without names, and one with too many', async (t) => {
    const core = await startCore(t);
    assert.deepEqual(await core.refusal(ROOT, 'Remove', { names: [] }), [
      'InvalidName',
      { name: '', reason: 'no name is given' },
    ]);
    const many = Array.from({ length: ITEMS_PER_CALL_MAX + 1 }, () => 'x');
    assert.deepEqual(await core.refusal(ROOT, 'Remove', { names: many }), ['TooLarge', { limit: ITEMS_PER_CALL_MAX }]);
    await core.create(ROOT, 'x');
    assert.deepEqual((await core.ask(ROOT, 'Remove', { names: many.slice(1) })).removed, ['x']);
  });

  it('refuses a credential whose set has changed since ifGeneration', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, ...AWS, 'token');
    const changed = await core.replace(ROOT, 'cio_aws_secret_key', 'new');
    const conflict = ['Conflict', { expected: seen, actual: changed }];
    for (const names of [['cio_aws_access_key'], ['aws'], ['token', 'aws']]) {
      assert.deepEqual(await core.refusal(ROOT, 'Remove', { names, ifGeneration: seen }), conflict);
    }
    assert.deepEqual((await core.ask(ROOT, 'Remove', { names: ['token'], ifGeneration: seen })).removed, ['token']);
    await core.ask(ROOT, 'Remove', { names: ['aws'], ifGeneration: changed });
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Lock', {});
    for (const name of ['token', NO_SET]) {
      assert.deepEqual(await core.refusal(ROOT, 'Remove', { names: [name] }), ['Locked', {}]);
    }
  });
});

describe('Remove: owners', () => {
  it("removes the caller's own credentials and leaves others' of the same name", async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE, BOB]) await core.create(person, ...AWS, 'token');
    await core.ask(ALICE, 'Remove', { names: ['token', 'aws'] });
    assert.deepEqual(await names(core, ALICE), []);
    for (const person of [ROOT, BOB]) assert.equal((await names(core, person)).length, 5);
    await core.ask(ROOT, 'Remove', { names: ['aws'], owner: BOB.uid });
    assert.deepEqual(await names(core, BOB), ['token']);
  });

  it('does not find what the caller may not see, and denies what the caller may only read', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service' }] });
    assert.deepEqual(await core.refusal(ALICE, 'Remove', { names: ['token'] }), ['NotFound', { name: 'token' }]);
    assert.deepEqual(await core.refusal(RESTIC, 'Remove', { names: ['token'] }), [
      'AccessDenied',
      { name: 'token', right: 'write' },
    ]);
    assert.deepEqual(await core.refusal(RESTIC, 'Remove', { names: ['token', 'aws'] }), [
      'AccessDenied',
      { name: 'token', right: 'write' },
    ]);
    assert.deepEqual(await core.refusal(RESTIC, 'Remove', { names: ['aws', 'token'] }), ['NotFound', { name: 'aws' }]);
    assert.equal((await names(core, ROOT)).length, 5);
  });

  it('removes nothing if one of the names is only readable', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.create(ALICE, 'mine');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    assert.equal((await core.refusal(ALICE, 'Remove', { names: ['mine', 'token'] }))[0], 'AccessDenied');
    assert.deepEqual(await names(core, ALICE), ['mine', 'token']);
  });
});

describe('Remove: grants', () => {
  it('revokes the grants of a credential: a new one of that name has none', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'other');
    const grantees = [{ uid: ALICE.uid }, { gid: BOB.uid }, { unit: 'restic.service' }];
    for (const target of ['token', 'other']) await core.ask(ROOT, 'Grant', { target, grantees });
    await core.ask(ROOT, 'Remove', { names: ['token'] });
    await core.create(ROOT, 'token');
    for (const person of [ALICE, BOB, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'Get', { name: 'token' }), ['NotFound', { name: 'token' }]);
      assert.equal(await core.value(person, 'other'), 'value-of-other');
    }
    const { credentials } = await core.ask(ROOT, 'List', { patterns: ['token'] });
    assert.deepEqual(credentials[0]?.grants, []);
  });

  it('keeps the grants of a set while it has a field', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    await core.ask(ROOT, 'Remove', { names: AWS.slice(1) });
    await core.create(ROOT, 'cio_aws_access_key');
    assert.equal(await core.value(ALICE, 'cio_aws_access_key'), 'value-of-cio_aws_access_key');
    await core.ask(ROOT, 'Remove', { names: ['aws'] });
    await core.create(ROOT, ...AWS);
    assert.deepEqual(await core.refusal(ALICE, 'GetSet', { set: 'aws' }), ['NotFound', { name: 'aws' }]);
  });

  it("keeps another owner's grants of the same name", async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, BOB]) {
      await core.create(person, 'token', 'cio_aws_access_key');
      for (const target of ['token', 'aws'])
        await core.ask(person, 'Grant', { target, grantees: [{ uid: ALICE.uid }] });
    }
    await core.ask(BOB, 'Remove', { names: ['token', 'aws'] });
    assert.equal(await core.value(ALICE, 'token'), 'value-of-token');
    assert.equal(await core.value(ALICE, 'cio_aws_access_key'), 'value-of-cio_aws_access_key');
  });

  it('is not undone by a grant in the same commit', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await Promise.all([
      core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] }),
      core.ask(ROOT, 'Remove', { names: ['token'] }),
    ]);
    await core.create(ROOT, 'token');
    assert.equal((await core.refusal(ALICE, 'Get', { name: 'token' }))[0], 'NotFound');
  });
});

describe('Remove and damaged records', () => {
  it('removes a field of a set with another field damaged', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'cio_aws_access_key');
    const records = recordsIn(before.storePath, 'credential');
    await before.create(ROOT, 'cio_aws_secret_key');
    await before.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    const [tag = ''] = newTags(records, recordsIn(before.storePath, 'credential'));
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
    assert.deepEqual((await core.ask(ROOT, 'Remove', { names: ['cio_aws_access_key'] })).removed, [
      'cio_aws_access_key',
    ]);
    await core.create(ROOT, 'cio_aws_region');
    assert.equal(await core.value(ALICE, 'cio_aws_region'), 'value-of-cio_aws_region', 'what is damaged is there');
  });

  it('removes a credential with a damaged value', async (t) => {
    const before = await startCore(t);
    await before.replace(ROOT, 'token', VALUE_IN_OWN_RECORD);
    const [tag = ''] = recordsIn(before.storePath, 'value').keys();
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'value', tag));
    await core.ask(ROOT, 'Remove', { names: ['token'] });
    assert.deepEqual(await core.ask(ROOT, 'Fsck', {}), { records: 4, problems: [], repaired: false });
  });
});
