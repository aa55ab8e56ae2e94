import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import {
  findGrantTarget,
  findTarget,
  findWritableTarget,
  recordsOf,
  resolveUuid,
  resolveUuids,
} from '../../../daemon/access/targets.ts';
import { uuidOfSet } from '../../../daemon/access/set-uuid.ts';
import { Emitter, NEVER } from '../../../daemon/emitter.ts';
import type { Subscribe } from '../../../daemon/emitter.ts';
import { ALICE, BOB, RESTIC, ROOT, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';

function find(core: Core, person: Person, text: string, owner?: number, isSet = false): string {
  return core.vault.read((reader) => {
    const target = findTarget(core.caller(person), reader, { text, owner, isSet });
    return `${target.kind} ${target.space} ${target.name} ${recordsOf(target).length}`;
  });
}

describe('findTarget()', () => {
  it("finds a credential, else a set, in the caller's own space and then the shared one", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'aws', 'cio_aws_access_key', 'cio_minio_access_key', 'cio_minio_secret_key');
    await core.create(ALICE, 'cio_aws_secret_key', 'token');
    assert.equal(find(core, ROOT, 'aws'), 'name system aws 1');
    assert.equal(find(core, ROOT, 'minio'), 'set system minio 2');
    assert.equal(find(core, ALICE, 'aws'), 'set uid:3001 aws 1');
    assert.equal(find(core, ROOT, 'token', ALICE.uid), 'name uid:3001 token 1');
    assert.throws(() => find(core, ALICE, 'minio'), { code: 'NotFound', fields: { name: 'minio' } });
    await core.ask(ROOT, 'Grant', { target: 'cio_minio_access_key', grantees: [{ uid: ALICE.uid }] });
    assert.equal(find(core, ALICE, 'minio'), 'set system minio 1');
  });

  it("finds a set by its UUID, whatever credential has the set's name", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'aws', 'cio_aws_access_key', 'token');
    assert.equal(find(core, ROOT, 'aws', undefined, true), 'set system aws 1');
    assert.throws(() => find(core, ROOT, 'token', undefined, true), { code: 'NotFound' });
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    assert.deepEqual((await core.ask(ROOT, 'Remove', { names: [uuid] })).removed, ['cio_aws_access_key']);
    assert.equal(await core.value(ROOT, 'aws'), 'value-of-aws');
  });

  it('accepts any spelling of a name or a set', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_alt_backup_password');
    assert.equal(find(core, ROOT, 'cio_alt_aws_restic_password'), 'name system cio_aws_alt_backup_password 1');
    assert.equal(find(core, ROOT, 'alt_aws'), 'set system aws_alt 1');
  });

  for (const text of ['', 'A', 'x y', '0191e1f0-7c3a-5000-8000-00000000000a', 'x'.repeat(129)]) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, async (t) => {
      const core = await startCore(t);
      assert.throws(() => find(core, ROOT, text), { code: 'InvalidName' });
    });
  }
});

describe('findGrantTarget()', () => {
  it('finds a set whose UUID was resolved even if it is gone since, whatever its name looks like', async (t) => {
    const core = await startCore(t);
    const find = (text: string, isSet: boolean): object =>
      core.vault.read((reader) =>
        findGrantTarget(core.caller(ROOT), reader, { text, owner: undefined, isSet }, () => true),
      );
    for (const [text, isSet, kind] of [
      ['alpha', true, 'set'],
      ['alpha', false, 'name'],
      ['aws', true, 'set'],
      ['aws', false, 'set'],
    ] as const)
      assert.deepEqual(find(text, isSet), { kind, space: 'system', name: text });
  });
});

describe('findWritableTarget()', () => {
  it('refuses a target that the caller may only read', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'cio_aws_access_key');
    for (const target of ['token', 'aws'])
      await core.ask(ROOT, 'Grant', { target, grantees: [{ unit: 'restic.service' }] });
    for (const text of ['token', 'aws']) {
      const fields = { name: text, right: 'write' };
      const named = { text, owner: undefined, isSet: false };
      core.vault.read((reader) => {
        assert.throws(() => findWritableTarget(core.caller(RESTIC), reader, named), { code: 'AccessDenied', fields });
        assert.equal(findWritableTarget(core.caller(ROOT), reader, named).space, 'system');
      });
    }
  });
});

describe('resolveUuids()', () => {
  it('returns names unchanged and sets by their UUIDs, in order', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_region', 'cio_minio_region');
    const [aws, minio] = ['aws', 'minio'].map((set) => uuidOfSet(core.vault.storeId, 'system', set));
    assert.ok(aws !== undefined && minio !== undefined);
    const texts = [minio, 'Any Text', aws, minio.toUpperCase()];
    const named = await resolveUuids(core.vault, core.caller(ROOT), texts, undefined);
    assert.deepEqual(
      named.map(({ text, owner, isSet }) => ({ text, owner, isSet })),
      [
        { text: 'minio', owner: 0, isSet: true },
        { text: 'Any Text', owner: undefined, isSet: false },
        { text: 'aws', owner: 0, isSet: true },
        { text: 'minio', owner: 0, isSet: true },
      ],
    );
    const unknown = [aws, ...['b', 'a'].map((digit) => `0191e1f0-7c3a-5000-8000-00000000000${digit}`)];
    await assert.rejects(resolveUuids(core.vault, core.caller(ROOT), unknown, undefined), {
      code: 'NotFound',
      fields: { name: unknown[1] },
    });
  });

  it('searches the store once, however many UUIDs there are', async (t) => {
    const core = await startCore(t);
    const sets = Array.from({ length: 600 }, (_, index) => `s${index}`);
    await core.create(ROOT, ...sets.map((set) => `cio_${set}_secret_key`));
    const uuids = sets.map((set) => uuidOfSet(core.vault.storeId, 'system', set));
    const reads = t.mock.method(core.vault, 'read');
    const named = await resolveUuids(core.vault, core.caller(ROOT), uuids, undefined);
    assert.deepEqual(
      named.map(({ text }) => text),
      sets,
    );
    assert.ok(reads.mock.callCount() < 10, `${reads.mock.callCount()} reads`);
  });
});

describe('resolveUuid()', () => {
  const resolve = async (core: Core, person: Person, text: string, owner?: number): Promise<object> => {
    const { isCurrent: _, ...named } = await resolveUuid(core.vault, core.caller(person), text, owner);
    return named;
  };

  it('returns a name unchanged, without a look-up', async (t) => {
    const core = await startCore(t);
    core.store.reads.length = 0;
    assert.deepEqual(await resolve(core, ALICE, 'Any Text'), { text: 'Any Text', owner: undefined, isSet: false });
    assert.deepEqual(core.store.reads, []);
  });

  it("finds the sets of the caller's own space, and those with a grant", async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE, BOB]) await core.create(person, 'cio_aws_access_key');
    const uuid = (space: 'system' | 'uid:3001' | 'uid:3002'): string => uuidOfSet(core.vault.storeId, space, 'aws');
    assert.deepEqual(await resolve(core, ROOT, uuid('system')), { text: 'aws', owner: 0, isSet: true });
    assert.deepEqual(await resolve(core, ROOT, uuid('uid:3001'), 3001), { text: 'aws', owner: 3001, isSet: true });
    assert.deepEqual(await resolve(core, ALICE, uuid('uid:3001').toUpperCase()), {
      text: 'aws',
      owner: 3001,
      isSet: true,
    });
    for (const [person, space] of [
      [ROOT, 'uid:3001'],
      [ALICE, 'system'],
      [ALICE, 'uid:3002'],
    ] as const) {
      await assert.rejects(resolve(core, person, uuid(space)), { code: 'NotFound', fields: { name: uuid(space) } });
    }
    await core.ask(BOB, 'Grant', { target: 'cio_aws_access_key', grantees: [{ uid: ALICE.uid }] });
    assert.deepEqual(await resolve(core, ALICE, uuid('uid:3002')), { text: 'aws', owner: 3002, isSet: true });
  });

  it('reads nothing from the store for a user who tries any UUID', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    await core.create(ALICE, 'cio_aws_access_key');
    core.store.reads.length = 0;
    await assert.rejects(resolve(core, ALICE, uuidOfSet(core.vault.storeId, 'system', 'aws')), { code: 'NotFound' });
    assert.deepEqual(core.store.reads, []);
  });

  it('searches for four calls of a user at a time, and ends with `Busy` for a caller who has left', async (t) => {
    const core = await startCore(t);
    const credentials = Array.from({ length: 500 }, (_, index) => `cio_s${index}_access_key`);
    await core.create(ALICE, ...credentials);
    const unknown = '0191e1f0-7c3a-5000-8000-00000000000a';
    const read = t.mock.method(core.vault, 'read');
    const gone = new Emitter();
    const search = (onGone: Subscribe): Promise<unknown> =>
      resolveUuid(core.vault, core.caller(ALICE), unknown, undefined, onGone);
    const left = Array.from({ length: 4 }, () => assert.rejects(search(gone.subscribe), { code: 'Busy' }));
    const others = Array.from({ length: 20 }, () => assert.rejects(search(NEVER), { code: 'NotFound' }));
    const leftWaiting = assert.rejects(search(gone.subscribe), { code: 'Busy' });
    await nextTurn();
    assert.equal(read.mock.callCount(), 4);
    gone.fire();
    await Promise.all([...left, ...others, leftWaiting]);
    assert.equal(read.mock.callCount(), 24);
  });

  it('lets others have turns while an administrator searches many sets', async (t) => {
    const core = await startCore(t);
    for (const owner of [1, 2, 3]) {
      const credentials = Array.from({ length: 1000 }, (_, index) => ({ name: `name-${index}`, value: 'x' }));
      await core.ask(ROOT, 'Create', { credentials, owner });
    }
    for (const work of [
      (): Promise<unknown> => core.call(ROOT, 'GetSet', { set: '0191e1f0-7c3a-5000-8000-00000000000a' }),
      (): Promise<unknown> => core.call(ROOT, 'List', {}),
    ]) {
      let turns = 0;
      const done = new AbortController();
      const answered = work().finally(() => done.abort());
      while (!done.signal.aborted) {
        await nextTurn();
        turns += 1;
      }
      await answered;
      assert.ok(turns > 3, `${turns} turns of the event loop`);
    }
  });
});
