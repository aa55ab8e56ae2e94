import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Reply } from '../../../daemon/dispatch.ts';
import { AT_ONCE_BYTES_MAX } from '../../../daemon/methods/read-in-turn.ts';
import { ALICE, BOB, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';
import { VALUE_IN_OWN_RECORD, flipBit, newTags, recordsIn } from '../damage.ts';

const AWS = ['cio_aws_backup_repo', 'cio_aws_access_key', 'cio_aws_secret_key', 'cio_aws_backup_password'] as const;
const NO_SET = '0191e1f0-7c3a-5000-8000-00000000000a';

async function membersOf(core: Core, person: Person, set: string, owner?: number): Promise<Record<string, unknown>> {
  const answer = await core.ask(person, 'GetSet', {
    set,
    allowIncomplete: true,
    ...(owner === undefined ? {} : { owner }),
  });
  return Object.fromEntries(answer.members.map(({ field, value, data }) => [field, value ?? data]));
}

describe('GetSet', () => {
  it('returns all fields of a ready set', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.create(ROOT, 'cio_aws_alt_access_key', 'cio_aws_region', 'aws', 'token');
    const answer = await core.ask(ROOT, 'GetSet', { set: 'aws' });
    const { uuid, members, ...rest } = answer;
    assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(rest, { set: 'aws', provider: 'aws', owner: 0, generation: 2, ready: true, missing: [] });
    assert.deepEqual(
      new Set(members.map(({ name, field, value, version }) => [name, field, value, version].join(' '))),
      new Set([
        'cio_aws_backup_repo backup_repo s3:https://s3.amazonaws.com/backup-123 1',
        'cio_aws_access_key access_key value-of-cio_aws_access_key 1',
        'cio_aws_secret_key secret_key value-of-cio_aws_secret_key 1',
        'cio_aws_backup_password backup_password value-of-cio_aws_backup_password 1',
        'cio_aws_region region value-of-cio_aws_region 1',
      ]),
    );
  });

  it('names the missing fields of a set that is not ready', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_region');
    const missing = ['backup_repo', 'secret_key', 'backup_password'];
    assert.deepEqual(await core.refusal(ROOT, 'GetSet', { set: 'aws' }), ['Incomplete', { set: 'aws', missing }]);
    for (const allowIncomplete of [false, null]) {
      assert.equal((await core.refusal(ROOT, 'GetSet', { set: 'aws', allowIncomplete }))[0], 'Incomplete');
    }
    const answer = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    assert.deepEqual([answer.ready, answer.missing, answer.members.length], [false, missing, 2]);
    await core.create(ROOT, 'cio_aws_backup_repo', 'cio_aws_secret_key');
    const last = ['Incomplete', { set: 'aws', missing: ['backup_password'] }];
    assert.deepEqual(await core.refusal(ROOT, 'GetSet', { set: 'aws' }), last);
  });

  it("takes the provider from the field of that name if the set's name does not start with one", async (t) => {
    const core = await startCore(t);
    const names = ['backup_repo', 'access_key', 'secret_key', 'backup_password'].map((field) => `cio_offsite_${field}`);
    await core.create(ROOT, ...names);
    const before = await core.ask(ROOT, 'GetSet', { set: 'offsite', allowIncomplete: true });
    assert.deepEqual([before.provider, before.missing], [undefined, ['provider']]);
    await core.create(ROOT, 'cio_offsite_provider');
    const after = await core.ask(ROOT, 'GetSet', { set: 'offsite' });
    assert.deepEqual([after.provider, after.ready], ['s3', true]);
  });

  it('accepts the name of a set, another spelling of it, and its UUID in either case', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_alt_access_key', 'cio_aws_access_key');
    const { uuid, set } = await core.ask(ROOT, 'GetSet', { set: 'alt_aws', allowIncomplete: true });
    assert.equal(set, 'aws_alt');
    for (const text of [uuid, uuid.toUpperCase()]) {
      const answer = await core.ask(ROOT, 'GetSet', { set: text, allowIncomplete: true });
      assert.deepEqual([answer.set, answer.uuid], ['aws_alt', uuid]);
    }
  });

  it('keeps the UUID of a set across restarts, changes and removals', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'cio_aws_access_key');
    const { uuid } = await before.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    const core = await restartCore(t, before);
    await core.ask(ROOT, 'Remove', { names: ['aws'] });
    await core.create(ROOT, 'cio_aws_secret_key');
    assert.equal((await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true })).uuid, uuid);
  });

  it('returns the generation of the last change of any field', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    const changed = await core.replace(ROOT, 'cio_aws_access_key', 'new');
    await core.create(ROOT, 'token');
    const { generation, members } = await core.ask(ROOT, 'GetSet', { set: 'aws' });
    assert.equal(generation, changed);
    assert.equal(members.find(({ field }) => field === 'access_key')?.version, 2);
  });

  it('always returns a new key with its new secret', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    const rotate = (round: number): Promise<unknown> =>
      core.ask(ROOT, 'Create', {
        credentials: ['access_key', 'secret_key'].map((field) => ({
          name: `cio_aws_${field}`,
          value: `round-${round}`,
        })),
        replace: true,
      });
    for (let round = 0; round < 10; round += 1) {
      const rotated = rotate(round);
      const seen = await membersOf(core, ROOT, 'aws');
      assert.equal(seen['access_key'] === `round-${round}`, seen['secret_key'] === `round-${round}`);
      await rotated;
      assert.equal((await membersOf(core, ROOT, 'aws'))['secret_key'], `round-${round}`);
    }
  });

  for (const [set, error] of [
    ['none', ['NotFound', { name: 'none' }]],
    ['alt_aws', ['NotFound', { name: 'aws_alt' }]],
    [NO_SET, ['NotFound', { name: NO_SET }]],
    [NO_SET.toUpperCase(), ['NotFound', { name: NO_SET }]],
    ['', ['InvalidName', { name: '', reason: 'it is empty' }]],
    ['not a set', ['InvalidName', { name: 'not', reason: 'character 4 is not one of a-z, 0-9 and _ . -' }]],
    ['a'.repeat(4096), ['InvalidName', { name: 'a'.repeat(32), reason: 'it is longer than 128 characters' }]],
  ] as const) {
    it(`refuses ${JSON.stringify(set.slice(0, 40))}`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'cio_aws_access_key', 'token');
      assert.deepEqual(await core.refusal(ROOT, 'GetSet', { set }), error);
    });
  }

  it('does not accept the name of a credential', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'cio_aws_access_key');
    assert.equal((await core.refusal(ROOT, 'GetSet', { set: 'token' }))[0], 'NotFound');
    assert.equal((await core.refusal(ROOT, 'GetSet', { set: 'cio_aws_access_key' }))[0], 'NotFound');
  });

  it('finds no set under a name that is too long for a set', async (t) => {
    const core = await startCore(t);
    const set = 'a'.repeat(128);
    assert.deepEqual(await core.refusal(ROOT, 'GetSet', { set }), ['NotFound', { name: set }]);
  });

  it('answers a small set at once, and a large one in its turn', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    const { members } = await core.ask(ROOT, 'GetSet', { set: 'aws' });
    const others = members.reduce(
      (sum, { field, value }) => sum + (field === 'secret_key' ? 0 : (value ?? '').length),
      0,
    );
    for (const [bytes, isLater] of [
      [AT_ONCE_BYTES_MAX, false],
      [AT_ONCE_BYTES_MAX + 1, true],
    ] as const) {
      await core.replace(ROOT, 'cio_aws_secret_key', 'x'.repeat(bytes - others));
      const message = { method: 'io.cio.Credentials.GetSet', parameters: { set: 'aws' } };
      const answer = core.dispatch(core.caller(ROOT), message);
      assert.equal(answer instanceof Promise, isLater);
      const { error } = await (answer as Promise<Reply> | Reply);
      assert.equal(error, undefined);
    }
  });

  it('returns bytes that are not text as data', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    await assert.rejects(core.create(ROOT, { name: 'cio_aws_secret_key', data: '/w==' }));
    assert.deepEqual(Object.keys(await membersOf(core, ROOT, 'aws')), ['access_key']);
  });

  it('is refused while the store is locked, by name and by UUID', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws' });
    await core.ask(ROOT, 'Lock', {});
    for (const set of ['aws', uuid, NO_SET]) {
      for (const person of [ROOT, ALICE])
        assert.deepEqual(await core.refusal(person, 'GetSet', { set }), ['Locked', {}]);
    }
  });
});

describe('GetSet: owners', () => {
  it("finds the caller's own set, else the granted shared one, and never mixes their fields", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    assert.equal((await core.ask(ALICE, 'GetSet', { set: 'aws' })).owner, 0);
    await core.create(ALICE, { name: 'cio_aws_access_key', value: 'own' });
    assert.deepEqual(await membersOf(core, ALICE, 'aws'), { access_key: 'own' });
    assert.equal(Object.keys(await membersOf(core, ALICE, 'aws', 0)).length, AWS.length);
  });

  it('returns only the granted field to a grantee of one field', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ unit: 'restic.service' }] });
    assert.deepEqual(Object.keys(await membersOf(core, RESTIC, 'aws')), ['access_key']);
    assert.deepEqual(await core.refusal(RESTIC, 'GetSet', { set: 'aws' }), [
      'Incomplete',
      { set: 'aws', missing: ['backup_repo', 'secret_key', 'backup_password'] },
    ]);
  });

  it('returns the generation of that field alone to a grantee of one field', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ unit: 'restic.service' }] });
    const seen = await core.ask(RESTIC, 'GetSet', { set: 'aws', allowIncomplete: true });
    await core.replace(ROOT, 'cio_aws_secret_key', 'rotated');
    assert.deepEqual(await core.ask(RESTIC, 'GetSet', { set: 'aws', allowIncomplete: true }), seen);
  });

  it('does not find a set of which the caller may read nothing, by name or by UUID', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.create(BOB, 'cio_minio_access_key');
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws' });
    const { uuid: bobs } = await core.ask(BOB, 'GetSet', { set: 'minio', allowIncomplete: true });
    for (const [set, owner] of [
      ['aws', undefined],
      ['aws', 0],
      [uuid, undefined],
      [uuid, 0],
      ['minio', BOB.uid],
      [bobs, BOB.uid],
      [bobs, undefined],
    ] as const) {
      const parameters = { set, allowIncomplete: true, ...(owner === undefined ? {} : { owner }) };
      assert.deepEqual(await core.refusal(ALICE, 'GetSet', parameters), ['NotFound', { name: set }]);
    }
  });

  it('gives sets of the same name different UUIDs for each owner', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    await core.create(ALICE, 'cio_aws_access_key');
    await core.create(BOB, 'cio_aws_access_key');
    const uuids = await Promise.all(
      [ROOT, ALICE, BOB].map(
        async (person) => (await core.ask(person, 'GetSet', { set: 'aws', allowIncomplete: true })).uuid,
      ),
    );
    assert.equal(new Set(uuids).size, 3);
    const [, alices = ''] = uuids;
    assert.deepEqual(await core.refusal(ROOT, 'GetSet', { set: alices }), ['NotFound', { name: alices }]);
    const answer = await core.ask(ROOT, 'GetSet', { set: alices, owner: ALICE.uid, allowIncomplete: true });
    assert.equal(answer.owner, ALICE.uid);
  });

  it("finds a granted shared set by its UUID, even beside the caller's own set of the same name", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.create(ALICE, 'cio_aws_access_key');
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws' });
    assert.equal((await core.ask(ALICE, 'GetSet', { set: uuid })).owner, 0);
  });
});

describe('GetSet of a damaged set', () => {
  it('returns nothing of a set with a damaged field, and names the field', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'cio_aws_backup_repo', 'cio_aws_access_key', 'cio_aws_backup_password');
    const values = recordsIn(before.storePath, 'value');
    await before.replace(ROOT, 'cio_aws_secret_key', VALUE_IN_OWN_RECORD);
    const [tag = ''] = newTags(values, recordsIn(before.storePath, 'value'));
    await before.create(ROOT, 'cio_minio_access_key');
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'value', tag));
    for (const allowIncomplete of [true, false]) {
      assert.deepEqual(await core.refusal(ROOT, 'GetSet', { set: 'aws', allowIncomplete }), [
        'Damaged',
        { name: 'cio_aws_secret_key' },
      ]);
    }
    assert.deepEqual(await membersOf(core, ROOT, 'minio'), { access_key: 'value-of-cio_minio_access_key' });
  });
});
