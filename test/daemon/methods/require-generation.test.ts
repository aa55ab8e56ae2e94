import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requireGeneration } from '../../../daemon/methods/require-generation.ts';
import { ALICE, ROOT, restartCore, startCore } from '../core.ts';
import { deleteRecord, newTags, recordsIn } from '../damage.ts';

describe('requireGeneration()', () => {
  it('requires nothing if no generation is expected', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    for (const expected of [undefined, null]) {
      core.vault.read((reader) => requireGeneration(reader, 'system', ['token'], expected));
    }
  });

  it('checks existing and missing credentials of the space', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a');
    await core.create(ROOT, 'b');
    const require = (names: string[], expected: number, space: 'system' | 'uid:3001' = 'system'): void =>
      core.vault.read((reader) => requireGeneration(reader, space, names, expected));
    require(['none'], 0);
    require(['a'], 1);
    require(['a', 'b'], 2);
    assert.throws(() => require(['a', 'b', 'none'], 2), { code: 'Conflict', fields: { expected: 2, actual: 0 } });
    require(['a', 'b'], 0, `uid:${ALICE.uid}` as 'uid:3001');
    assert.throws(() => require(['a', 'b'], 1), { code: 'Conflict', fields: { expected: 1, actual: 2 } });
    assert.throws(() => require(['none'], -1), { code: 'Conflict', fields: { expected: -1, actual: 0 } });
  });

  it('looks up no missing fields for a user, whose names are listed', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: 20 }, (_, index) => `cio_aws_${index}_region`);
    const seen = await core.create(ALICE, ...names);
    const before = core.store.reads.length;
    core.vault.read((reader) => requireGeneration(reader, `uid:${ALICE.uid}`, names, seen));
    const reads = core.store.reads.length - before;
    assert.ok(reads <= names.length, `${reads} reads for ${names.length}`);
    await core.replace(ALICE, 'cio_aws_7_access_key', 'newer');
    core.vault.read((reader) =>
      assert.throws(() => requireGeneration(reader, `uid:${ALICE.uid}`, names, seen), { code: 'Conflict' }),
    );
  });

  it("looks up the named credentials if the user's list was lost", async (t) => {
    const core = await startCore(t);
    const before = recordsIn(core.storePath, 'principal');
    const seen = await core.create(ALICE, 'token');
    const [tag = assert.fail()] = newTags(before, recordsIn(core.storePath, 'principal'));
    const again = await restartCore(t, core, () => deleteRecord(core.storePath, 'principal', tag));
    const change = { credentials: [{ name: 'token', value: 'newer' }], replace: true };
    assert.deepEqual(await again.refusal(ALICE, 'Create', { ...change, ifGeneration: 0 }), [
      'Conflict',
      { expected: 0, actual: seen },
    ]);
    await again.ask(ALICE, 'Create', { ...change, ifGeneration: seen });
  });

  it('lets a caller succeed who reads again after a conflict, whatever was removed elsewhere', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key', 'token', 'other');
    for (const name of ['token', 'other']) await core.ask(ROOT, 'Remove', { names: [name] });
    const { generation } = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    const credentials = [{ name: 'cio_aws_access_key', value: 'new' }];
    await core.ask(ROOT, 'Create', { credentials, replace: true, ifGeneration: generation });
  });

  it('works for a set of any name', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, 'cio_constructor_access_key');
    await core.replace(ROOT, 'cio_constructor_access_key', 'newer');
    const credentials = [{ name: 'cio_constructor_access_key', value: 'newest' }];
    const change = { credentials, replace: true, ifGeneration: seen };
    assert.deepEqual(await core.refusal(ROOT, 'Create', change), ['Conflict', { expected: seen, actual: seen + 1 }]);
  });

  it('refuses if a field of the set, or the credential itself, was removed since', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key');
    await core.ask(ROOT, 'Remove', { names: ['cio_aws_secret_key'] });
    const conflict = ['Conflict', { expected: seen, actual: seen + 1 }];
    for (const name of ['cio_aws_access_key', 'cio_aws_secret_key']) {
      const credentials = [{ name, value: 'new' }];
      assert.deepEqual(
        await core.refusal(ROOT, 'Create', { credentials, replace: true, ifGeneration: seen }),
        conflict,
      );
    }
  });

  it('refuses if the whole set was removed since, so that no partial set is made', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key', 'cio_minio_access_key');
    await core.ask(ROOT, 'Remove', { names: ['aws'] });
    const credentials = [
      { name: 'cio_aws_access_key', value: 'new' },
      { name: 'cio_minio_access_key', value: 'new' },
    ];
    assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials, replace: true, ifGeneration: seen }), [
      'Conflict',
      { expected: seen, actual: 0 },
    ]);
    await core.ask(ROOT, 'Create', { credentials: credentials.slice(0, 1), ifGeneration: 0 });
  });

  it('refuses generations that were lost in a restore, but never existing ones, whatever a range covers', async (t) => {
    const core = await startCore(t);
    const taken = await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key');
    const seen = await core.create(ROOT, 'token');
    await core.vault.write((writer) => {
      const principal = writer.principal('system');
      assert.ok(principal !== undefined);
      writer.putPrincipal({ ...principal, generation: 9, restored: [{ after: 0, at: 9 }] });
    });
    const require = (names: string[], expected: number): void =>
      core.vault.read((reader) => requireGeneration(reader, 'system', names, expected));
    require(['token'], seen);
    require(['token'], 9);
    require(['cio_aws_access_key'], taken);
    require(['none'], 0);
    for (const [names, expected, actual] of [
      [['token'], 8, seen],
      [['cio_aws_secret_key'], seen, taken],
      [['token'], taken, seen],
    ] as const) {
      assert.throws(() => require([...names], expected), { code: 'Conflict', fields: { expected, actual } });
    }
  });
});
