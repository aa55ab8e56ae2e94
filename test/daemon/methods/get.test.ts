import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Reply } from '../../../daemon/dispatch.ts';
import { AT_ONCE_BYTES_MAX } from '../../../daemon/methods/read-in-turn.ts';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { ALICE, BOB, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import { coreWithDamage, deleteRecord, flipBit, recordsIn } from '../damage.ts';

describe('Get', () => {
  it('returns the current value, its version and its generation', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'other');
    await core.create(ROOT, 'token');
    assert.deepEqual(await core.ask(ROOT, 'Get', { name: 'token' }), {
      name: 'token',
      value: 'value-of-token',
      version: 1,
      generation: 2,
    });
    await core.replace(ROOT, 'token', 'new');
    await core.create(ROOT, 'third');
    assert.deepEqual(await core.ask(ROOT, 'Get', { name: 'token' }), {
      name: 'token',
      value: 'new',
      version: 2,
      generation: 3,
    });
  });

  it('accepts every spelling, and answers with the canonical one', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_minio_alt_backup_password');
    for (const name of ['cio_alt_minio_restic_password', 'cio_minio_alt_restic_password']) {
      assert.equal((await core.ask(ROOT, 'Get', { name })).name, 'cio_minio_alt_backup_password');
    }
  });

  it('returns an older version, with the generation that made it', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.create(ROOT, 'other');
    await core.replace(ROOT, 'token', 'new');
    const { value, version, generation } = await core.ask(ROOT, 'Get', { name: 'token', version: 1 });
    assert.deepEqual([value, version, generation], ['value-of-token', 1, 1]);
    assert.equal((await core.ask(ROOT, 'Get', { name: 'token', version: 2 })).value, 'new');
    assert.equal((await core.ask(ROOT, 'Get', { name: 'token', version: null })).value, 'new');
  });

  for (const version of [0, -1, 2, Number.MAX_SAFE_INTEGER]) {
    it(`does not find version ${version} of a credential that has one version`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'token');
      assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'token', version }), ['NotFound', { name: 'token' }]);
    });
  }

  it('does not find a missing name', async (t) => {
    const core = await startCore(t);
    assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'token' }), ['NotFound', { name: 'token' }]);
    assert.deepEqual(await core.refusal(ALICE, 'Get', { name: 'token' }), ['NotFound', { name: 'token' }]);
  });

  it('does not accept the name of a set, nor its UUID', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'aws' }), ['NotFound', { name: 'aws' }]);
    assert.equal((await core.refusal(ROOT, 'Get', { name: uuid }))[0], 'InvalidName');
  });

  it('refuses an invalid name, and repeats only its valid beginning', async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE]) {
      assert.deepEqual(await core.refusal(person, 'Get', { name: 'token secret' }), [
        'InvalidName',
        { name: 'token', reason: 'character 6 is not one of a-z, 0-9 and _ . -' },
      ]);
    }
  });

  it('returns a value of 1 MiB of control characters, whose JSON text is six times as long', async (t) => {
    const core = await startCore(t);
    const bytes = Buffer.alloc(VALUE_BYTES_MAX, 1);
    await core.create(ROOT, { name: 'control', data: bytes.toString('base64') });
    const { value, data } = await core.ask(ROOT, 'Get', { name: 'control' });
    assert.ok((typeof value === 'string' ? Buffer.from(value) : Buffer.from(data ?? '', 'base64')).equals(bytes));
  });

  it('answers a small value at once, and a large one in its turn', async (t) => {
    const core = await startCore(t);
    for (const [bytes, isLater] of [
      [AT_ONCE_BYTES_MAX, false],
      [AT_ONCE_BYTES_MAX + 1, true],
    ] as const) {
      await core.replace(ROOT, 'token', 'x'.repeat(bytes));
      const message = { method: 'io.cio.Credentials.Get', parameters: { name: 'token' } };
      const answer = core.dispatch(core.caller(ROOT), message);
      assert.equal(answer instanceof Promise, isLater);
      const { parameters } = (await (answer as Promise<Reply> | Reply)) as { readonly parameters: { value: string } };
      assert.equal(parameters.value.length, bytes);
    }
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Lock', {});
    for (const person of [ROOT, ALICE]) {
      for (const name of ['token', 'none'])
        assert.deepEqual(await core.refusal(person, 'Get', { name }), ['Locked', {}]);
    }
  });
});

describe('Get: owners', () => {
  it("finds the caller's own credential first, then a granted shared one", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: 'token', value: 'shared' });
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    assert.equal(await core.value(ALICE, 'token'), 'shared');
    await core.create(ALICE, { name: 'token', value: 'own' });
    assert.equal(await core.value(ALICE, 'token'), 'own');
    assert.equal(await core.value(ALICE, 'token', 0), 'shared');
    assert.equal(await core.value(ROOT, 'token'), 'shared');
  });

  it('never finds a third user’s credential unless the owner is named, whatever was granted', async (t) => {
    const core = await startCore(t);
    await core.create(BOB, { name: 'token', value: 'planted' });
    await core.ask(BOB, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }, { uid: 0 }] });
    for (const person of [ALICE, ROOT]) {
      assert.deepEqual(await core.refusal(person, 'Get', { name: 'token' }), ['NotFound', { name: 'token' }]);
      assert.equal(await core.value(person, 'token', BOB.uid), 'planted');
    }
  });

  it('does not find another owner’s credential', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.create(BOB, 'bobs');
    for (const [person, name, owner] of [
      [ALICE, 'token', 0],
      [ALICE, 'bobs', BOB.uid],
      [ALICE, 'token', ALICE.uid],
      [ROOT, 'bobs', 0],
      [ROOT, 'token', BOB.uid],
    ] as const) {
      assert.deepEqual(await core.refusal(person, 'Get', { name, owner }), ['NotFound', { name }]);
    }
  });

  it('refuses an owner that is not a uid', async (t) => {
    const core = await startCore(t);
    for (const owner of [-1, 2 ** 32 - 1]) {
      assert.equal((await core.refusal(ROOT, 'Get', { name: 'token', owner }))[0], 'InvalidName');
    }
  });

  it('returns only the current value to a grantee', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.replace(ROOT, 'token', 'new');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service' }] });
    assert.equal(await core.value(RESTIC, 'token'), 'new');
    assert.equal((await core.ask(RESTIC, 'Get', { name: 'token', version: 2 })).value, 'new');
    for (const version of [1, 3, 99]) {
      assert.deepEqual(await core.refusal(RESTIC, 'Get', { name: 'token', version }), [
        'AccessDenied',
        { name: 'token', right: 'write' },
      ]);
    }
  });
});

describe('Get of a damaged credential', () => {
  for (const [kind, change] of [
    ['credential', flipBit],
    ['value', flipBit],
    ['value', deleteRecord],
  ] as const) {
    it(`names it after ${change.name}() of its ${kind}, and returns all others`, async (t) => {
      const core = await coreWithDamage(t, kind, change);
      assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'broken' }), ['Damaged', { name: 'broken' }]);
      assert.equal(await core.value(ROOT, 'first'), 'value-of-first');
      assert.equal(await core.value(ROOT, 'last'), 'value-of-last');
      assert.deepEqual(await core.refusal(ALICE, 'Get', { name: 'broken' }), ['NotFound', { name: 'broken' }]);
    });
  }

  it('returns the current value if only an older one is damaged', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'token');
    await before.replace(ROOT, 'token', 'new');
    const [tag = ''] = recordsIn(before.storePath, 'value').keys();
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'value', tag));
    assert.equal(await core.value(ROOT, 'token'), 'new');
    assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'token', version: 1 }), ['Damaged', { name: 'token' }]);
  });
});
