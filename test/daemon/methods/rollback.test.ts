import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VaultWriter } from '../../../daemon/vault/transaction.ts';
import { VERSIONS_KEPT } from '../../../daemon/methods/save-version.ts';
import { ALICE, BOB, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import type { Core } from '../core.ts';
import { flipBit, newTags, recordsIn } from '../damage.ts';

const NO_SET = '0191e1f0-7c3a-5000-8000-00000000000a';

async function setValues(core: Core): Promise<Record<string, unknown>> {
  const { members } = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
  return Object.fromEntries(members.map(({ field, value }) => [field, value]));
}

describe('Rollback of a credential', () => {
  it('restores the previous value, as a new version', async (t) => {
    const core = await startCore(t);
    await core.replace(ROOT, 'token', 'first');
    await core.replace(ROOT, 'token', 'second');
    assert.deepEqual(await core.ask(ROOT, 'Rollback', { target: 'token' }), {
      generation: 3,
      saved: [{ name: 'token', version: 3, created: false }],
    });
    assert.equal(await core.value(ROOT, 'token'), 'first');
  });

  it('restores a given version, or the value at a generation', async (t) => {
    const core = await startCore(t);
    await core.replace(ROOT, 'token', 'first');
    for (const name of ['a', 'b']) await core.create(ROOT, name);
    await core.replace(ROOT, 'token', 'fourth');
    await core.replace(ROOT, 'token', 'fifth');
    await core.ask(ROOT, 'Rollback', { target: 'token', version: 1 });
    assert.equal(await core.value(ROOT, 'token'), 'first');
    await core.ask(ROOT, 'Rollback', { target: 'token', generation: 4 });
    assert.equal(await core.value(ROOT, 'token'), 'fourth');
    await core.ask(ROOT, 'Rollback', { target: 'token', generation: 3 });
    assert.equal(await core.value(ROOT, 'token'), 'first');
  });

  it('saves nothing if the value is the current one already', async (t) => {
    const core = await startCore(t);
    await core.replace(ROOT, 'token', 'first');
    await core.replace(ROOT, 'token', 'second');
    const commits = core.store.commits;
    for (const wanted of [{ version: 2 }, { generation: 2 }, { generation: 1000 }]) {
      assert.deepEqual(await core.ask(ROOT, 'Rollback', { target: 'token', ...wanted }), { generation: 2, saved: [] });
    }
    assert.equal(core.store.commits, commits);
  });

  for (const [what, wanted] of [
    ['a version that never existed', { version: 3 }],
    ['version 0', { version: 0 }],
    ['a generation before its creation', { generation: 1 }],
    ['a negative generation', { generation: -1 }],
  ] as const) {
    it(`refuses ${what}`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'other');
      await core.replace(ROOT, 'token', 'first');
      await core.replace(ROOT, 'token', 'second');
      assert.deepEqual(await core.refusal(ROOT, 'Rollback', { target: 'token', ...wanted }), [
        'InvalidValue',
        { name: 'token', reason: 'no such version is kept' },
      ]);
      assert.equal(await core.value(ROOT, 'token'), 'second');
    });
  }

  it('refuses a credential without an older value, or whose older value is no longer kept', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    assert.equal((await core.refusal(ROOT, 'Rollback', { target: 'token' }))[0], 'InvalidValue');
    for (let round = 0; round < VERSIONS_KEPT; round += 1) await core.replace(ROOT, 'token', `${round}`);
    for (const wanted of [{ version: 1 }, { generation: 1 }]) {
      assert.equal((await core.refusal(ROOT, 'Rollback', { target: 'token', ...wanted }))[0], 'InvalidValue');
    }
  });

  it('refuses a version together with a generation', async (t) => {
    const core = await startCore(t);
    await core.replace(ROOT, 'token', 'first');
    await core.replace(ROOT, 'token', 'second');
    assert.deepEqual(await core.refusal(ROOT, 'Rollback', { target: 'token', version: 1, generation: 1 }), [
      'InvalidValue',
      { name: 'token', reason: 'a version and a generation exclude each other' },
    ]);
    assert.equal(await core.value(ROOT, 'token'), 'second');
  });

  it('wipes the restored value', async (t) => {
    const core = await startCore(t);
    await core.replace(ROOT, 'token', 'first');
    await core.replace(ROOT, 'token', 'second');
    const values: Uint8Array[] = [];
    const write = core.vault.write.bind(core.vault);
    t.mock.method(core.vault, 'write', (work: (writer: VaultWriter) => unknown) =>
      write((writer) => {
        const value = writer.value.bind(writer);
        t.mock.method(writer, 'value', (...args: Parameters<VaultWriter['value']>) => {
          const bytes = value(...args);
          values.push(bytes);
          return bytes;
        });
        return work(writer);
      }),
    );
    await core.ask(ROOT, 'Rollback', { target: 'token' });
    assert.deepEqual(values, [new Uint8Array('first'.length)]);
    assert.equal(await core.value(ROOT, 'token'), 'first');
  });

  it('does not increase the number of kept versions', async (t) => {
    const core = await startCore(t);
    for (let round = 0; round < VERSIONS_KEPT; round += 1) await core.replace(ROOT, 'token', `${round}`);
    await core.ask(ROOT, 'Rollback', { target: 'token', version: 1 });
    assert.equal(await core.value(ROOT, 'token'), '0');
    const { versions } = await core.ask(ROOT, 'History', { name: 'token' });
    assert.deepEqual([versions.length, versions.at(-1)?.version], [VERSIONS_KEPT, 2]);
    assert.equal(recordsIn(core.storePath, 'value').size, VERSIONS_KEPT - 1);
  });

  it('keeps the grants', async (t) => {
    const core = await startCore(t);
    await core.replace(ROOT, 'token', 'first');
    await core.replace(ROOT, 'token', 'second');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    await core.ask(ROOT, 'Rollback', { target: 'token' });
    assert.equal(await core.value(ALICE, 'token'), 'first');
  });

  it('reports a damaged older value, and keeps the current one', async (t) => {
    const before = await startCore(t);
    await before.replace(ROOT, 'token', 'first');
    await before.replace(ROOT, 'token', 'second');
    const [tag = ''] = newTags(new Map(), recordsIn(before.storePath, 'value'));
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'value', tag));
    assert.deepEqual(await core.refusal(ROOT, 'Rollback', { target: 'token' }), ['Damaged', { name: 'token' }]);
    assert.equal(await core.value(ROOT, 'token'), 'second');
  });
});

describe('Rollback of a set', () => {
  async function rotated(t: Parameters<typeof startCore>[0]): Promise<Core> {
    const core = await startCore(t);
    const save = (credentials: Record<string, string>): Promise<unknown> =>
      core.ask(ROOT, 'Create', {
        credentials: Object.entries(credentials).map(([field, value]) => ({ name: `cio_aws_${field}`, value })),
        replace: true,
      });
    await save({ access_key: 'key-1', secret_key: 'secret-1', region: 'region-1' });
    await save({ access_key: 'key-2', secret_key: 'secret-2' });
    await save({ access_key: 'key-3', secret_key: 'secret-3' });
    return core;
  }

  it('undoes its last change, for all fields together and as one generation', async (t) => {
    const core = await rotated(t);
    const { generation, saved } = await core.ask(ROOT, 'Rollback', { target: 'aws' });
    assert.equal(generation, 4);
    assert.deepEqual(saved.map(({ name }) => name).toSorted(), ['cio_aws_access_key', 'cio_aws_secret_key']);
    assert.deepEqual(await setValues(core), { access_key: 'key-2', secret_key: 'secret-2', region: 'region-1' });
  });

  it('restores every field to its value at a generation, by name, spelling or UUID', async (t) => {
    const core = await rotated(t);
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    await core.ask(ROOT, 'Rollback', { target: uuid, generation: 1 });
    assert.deepEqual(await setValues(core), { access_key: 'key-1', secret_key: 'secret-1', region: 'region-1' });
    await core.ask(ROOT, 'Rollback', { target: 'aws', generation: 3 });
    assert.deepEqual(await setValues(core), { access_key: 'key-3', secret_key: 'secret-3', region: 'region-1' });
  });

  it('restores nothing if one field did not exist then', async (t) => {
    const core = await rotated(t);
    await core.create(ROOT, 'cio_aws_session_token');
    const before = await setValues(core);
    assert.deepEqual(await core.refusal(ROOT, 'Rollback', { target: 'aws', generation: 2 }), [
      'InvalidValue',
      { name: 'cio_aws_session_token', reason: 'no such version is kept' },
    ]);
    assert.deepEqual(await setValues(core), before);
  });

  it('refuses a version, since the fields have different ones', async (t) => {
    const core = await rotated(t);
    assert.deepEqual(await core.refusal(ROOT, 'Rollback', { target: 'aws', version: 1 }), [
      'InvalidValue',
      { name: 'aws', reason: 'a set goes back to a generation, not a version' },
    ]);
  });
});

describe('Rollback: owners', () => {
  it('does not find a missing target, or one that the caller may not see', async (t) => {
    const core = await startCore(t);
    await core.replace(ROOT, 'token', 'first');
    await core.replace(ROOT, 'token', 'second');
    await core.replace(BOB, 'cio_aws_access_key', 'bobs');
    for (const [person, target, owner] of [
      [ROOT, 'none', 0],
      [ROOT, NO_SET, 0],
      [ALICE, 'token', 0],
      [ALICE, 'aws', BOB.uid],
    ] as const) {
      assert.deepEqual(await core.refusal(person, 'Rollback', { target, owner }), ['NotFound', { name: target }]);
    }
    assert.equal((await core.refusal(ROOT, 'Rollback', { target: 'A' }))[0], 'InvalidName');
  });

  it('is denied to mere grantees', async (t) => {
    const core = await startCore(t);
    for (const value of ['first', 'second']) await core.replace(ROOT, 'cio_aws_access_key', value);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ unit: 'restic.service' }] });
    for (const target of ['cio_aws_access_key', 'aws']) {
      assert.deepEqual(await core.refusal(RESTIC, 'Rollback', { target }), [
        'AccessDenied',
        { name: target, right: 'write' },
      ]);
    }
    assert.equal(await core.value(ROOT, 'cio_aws_access_key'), 'second');
  });

  it('counts the generations of the owner', async (t) => {
    const core = await startCore(t);
    for (const name of ['a', 'b', 'c']) await core.create(ROOT, name);
    for (const value of ['first', 'second']) await core.replace(ALICE, 'token', value);
    assert.equal((await core.ask(ROOT, 'Rollback', { target: 'token', owner: ALICE.uid })).generation, 3);
    assert.equal(await core.value(ALICE, 'token'), 'first');
    assert.equal((await core.ask(ALICE, 'History', { name: 'token' })).versions[0]?.changedBy, 0);
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    for (const target of ['token', NO_SET])
      assert.deepEqual(await core.refusal(ROOT, 'Rollback', { target }), ['Locked', {}]);
  });
});
