import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  covers,
  findReadable,
  findWritable,
  grantsOf,
  mayRead,
  mayReadSet,
  mayWrite,
  ownerOfSpace,
  requireAdministrator,
  spaceOfOwner,
  spacesToRead,
  spaceToWrite,
} from '../../../daemon/access/rules.ts';
import { uuidOfSet } from '../../../daemon/access/set-uuid.ts';
import type { Reply } from '../../../daemon/dispatch.ts';
import { emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { VaultReader } from '../../../daemon/vault/reader.ts';
import type { Space } from '../../../daemon/vault/records.ts';
import type { MethodName } from '../../../daemon/methods/context.ts';
import type { Methods } from '../../../src/protocol/interface.generated.ts';
import type { Scope } from '../../support/scope.ts';
import { ALICE, anyValue, BOB, RESTIC, ROOT, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';

/** A call of any method. */
type Call = { [Name in MethodName]: readonly [name: Name, parameters: Methods[Name]['in']] }[MethodName];

const NO_SET = '0191e1f0-7c3a-5000-8000-00000000000a';

describe('spaceOfOwner() and ownerOfSpace()', () => {
  it('are inverse to each other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 2 }), (owner) =>
        assert.equal(ownerOfSpace(spaceOfOwner(owner)), owner),
      ),
    );
    assert.deepEqual([spaceOfOwner(0), spaceOfOwner(7)], ['system', 'uid:7']);
  });
});

describe('covers()', () => {
  const grant = (space: Space, kind: 'name' | 'set', target: string): Parameters<typeof covers>[0] => ({
    space,
    kind,
    target,
  });

  for (const [granted, space, name, expected] of [
    [grant('system', 'name', 'token'), 'system', 'token', true],
    [grant('system', 'name', 'token'), 'system', 'token2', false],
    [grant('system', 'name', 'token'), 'uid:1', 'token', false],
    [grant('uid:1', 'name', 'token'), 'uid:11', 'token', false],
    [grant('system', 'set', 'aws'), 'system', 'cio_aws_access_key', true],
    [grant('system', 'set', 'aws'), 'system', 'cio_aws_alt_access_key', false],
    [grant('system', 'set', 'aws'), 'system', 'aws', false],
    [grant('system', 'set', 'aws'), 'uid:1', 'cio_aws_access_key', false],
    [grant('system', 'set', 'token'), 'system', 'token', false],
    [grant('system', 'name', 'aws'), 'system', 'cio_aws_access_key', false],
    [grant('system', 'set', 'aws'), 'system', 'cio_aws_unknown', false],
  ] as const) {
    it(`${granted.space} ${granted.kind} ${granted.target} ${expected ? 'covers' : 'does not cover'} ${space} ${name}`, () => {
      assert.equal(covers(granted, space, name), expected);
    });
  }
});

describe('mayWrite()', () => {
  it('is true for administrators everywhere, and for other users in their own space', async (t) => {
    const core = await startCore(t);
    for (const [person, space, expected] of [
      [ROOT, 'system', true],
      [ROOT, 'uid:3001', true],
      [ALICE, 'uid:3001', true],
      [ALICE, 'system', false],
      [ALICE, 'uid:3002', false],
      [{ uid: 300 }, 'uid:3001', false],
    ] as const) {
      assert.equal(mayWrite(core.caller(person), space), expected);
    }
  });
});

describe('mayRead()', () => {
  it("is true if any grant to the caller's principals covers it, within a transaction and after it", async (t) => {
    const core = await startCore(t);
    const persons: Person[] = [ALICE, BOB, { uid: 3001, gid: 50 }, { uid: 4000, groups: [50] }, RESTIC];
    const given = fc.record({
      principal: fc.constantFrom('uid:3001', 'uid:3002', 'gid:50', 'unit:restic.service'),
      space: fc.constantFrom('system', 'uid:3001', 'uid:30'),
      kind: fc.constantFrom('name', 'set'),
      target: fc.constantFrom('aws', 'token', 'cio_aws_region', 'cio_aws_alt_region', 'aws_alt'),
    } as const);
    const places = (['system', 'uid:3001', 'uid:30'] as const).flatMap((space) =>
      ['aws', 'token', 'cio_aws_region', 'cio_aws_alt_region', 'cio_aws_prefix'].map((name) => ({ space, name })),
    );
    const check = (reader: VaultReader): void => {
      for (const person of persons) {
        const caller = core.caller(person);
        for (const { space, name } of places) {
          const expected = caller.space === space || grantsOf(caller, reader).some((one) => covers(one, space, name));
          assert.equal(mayRead(caller, reader, space, name), expected, `${JSON.stringify(person)} ${space} ${name}`);
        }
      }
    };
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(given, { selector: (one) => JSON.stringify(one), maxLength: 6 }), async (all) => {
        await core.vault.write((writer) => {
          for (const principal of ['uid:3001', 'uid:3002', 'gid:50', 'unit:restic.service'] as const) {
            const own = all.filter((one) => one.principal === principal);
            const grants = own.map(({ space, kind, target }) => ({ space, kind, target }));
            writer.putPrincipal({ ...emptyPrincipal(principal), grants });
          }
          check(writer);
        });
        core.vault.read(check);
      }),
      { numRuns: 50 },
    );
  });
});

describe('mayReadSet()', () => {
  it('is true for writers and grantees of that very set, not of a similar name or another owner', async (t) => {
    const core = await startCore(t);
    const grants = [
      { space: 'system', kind: 'set', target: 'aws' },
      { space: 'system', kind: 'name', target: 'minio' },
      { space: 'uid:3002', kind: 'set', target: 'azure' },
    ] as const;
    await core.vault.write((writer) => writer.putPrincipal({ ...emptyPrincipal('uid:3001'), grants }));
    for (const [person, space, set, expected] of [
      [ALICE, 'system', 'aws', true],
      [ALICE, 'uid:3002', 'azure', true],
      [ALICE, 'uid:3001', 'any', true],
      [ALICE, 'system', 'minio', false],
      [ALICE, 'system', 'azure', false],
      [ALICE, 'uid:3002', 'aws', false],
      [ALICE, 'system', 'aws_alt', false],
      [BOB, 'system', 'aws', false],
      [ROOT, 'uid:3002', 'aws', true],
    ] as const) {
      const may = core.vault.read((reader) => mayReadSet(core.caller(person), reader, space, set));
      assert.equal(may, expected, `${person.uid} ${space} ${set}`);
    }
  });
});

describe('spaceToWrite() and spacesToRead()', () => {
  it("are the caller's own space, then the shared one for reading, or the named owner's", async (t) => {
    const core = await startCore(t);
    const alice = core.caller(ALICE);
    const root = core.caller(ROOT);
    for (const none of [undefined, null]) {
      assert.deepEqual([spaceToWrite(alice, none), spaceToWrite(root, none)], ['uid:3001', 'system']);
      assert.deepEqual([spacesToRead(alice, none), spacesToRead(root, none)], [['uid:3001', 'system'], ['system']]);
    }
    assert.deepEqual([spaceToWrite(root, 3002), spaceToWrite(alice, 3001)], ['uid:3002', 'uid:3001']);
    assert.deepEqual([spacesToRead(alice, 3002), spacesToRead(root, 0)], [['uid:3002'], ['system']]);
    for (const owner of [0, 3002]) {
      assert.throws(() => spaceToWrite(alice, owner), { code: 'AccessDenied', fields: { right: 'write' } });
    }
  });
});

describe('findReadable() and findWritable()', () => {
  it('report NotFound to a caller who may not read, and AccessDenied to one who may only read', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service' }] });
    core.vault.read((reader) => {
      const find = (person: Person): string => findReadable(core.caller(person), reader, 'token', undefined).space;
      const change = (person: Person): string => findWritable(core.caller(person), reader, 'token', undefined).space;
      assert.deepEqual([find(ROOT), find(RESTIC), change(ROOT)], ['system', 'system', 'system']);
      assert.throws(() => change(RESTIC), { code: 'AccessDenied', fields: { name: 'token', right: 'write' } });
      for (const look of [find, change])
        assert.throws(() => look(ALICE), { code: 'NotFound', fields: { name: 'token' } });
      assert.equal(mayRead(core.caller(RESTIC), reader, 'system', 'token2'), false);
    });
  });
});

describe('requireAdministrator()', () => {
  it('throws unless the caller is an administrator', async (t) => {
    const core = await startCore(t);
    requireAdministrator(core.caller(ROOT));
    assert.throws(() => requireAdministrator(core.caller(ALICE)), {
      code: 'AccessDenied',
      fields: { right: 'administer' },
    });
  });
});

/** Every call in which a user can name a credential or its set, of the given owner. */
function callsAbout(name: string, set: string, uuid: string, owner?: number): Call[] {
  const of = owner === undefined ? {} : { owner };
  const grantees = [{ uid: ALICE.uid }];
  return [
    ['Get', { name, ...of }],
    ['Get', { name, version: 1, ...of }],
    ['Get', { name, version: 2, ...of }],
    ['History', { name, ...of }],
    ...[name, set, uuid].flatMap((target): Call[] => [
      ['GetSet', { set: target, ...of }],
      ['GetSet', { set: target, allowIncomplete: true, ...of }],
      ['List', { patterns: [target], ...of }],
      ['Remove', { names: [target], ...of }],
      ['Remove', { names: [target], ifGeneration: 0, ...of }],
      ['Grant', { target, grantees, ...of }],
      ['Revoke', { target, grantees, ...of }],
      ['Rollback', { target, ...of }],
      ['Rollback', { target, version: 1, ...of }],
      ['Rollback', { target, generation: 1, ...of }],
    ]),
  ];
}

describe('a credential that the caller may not read', () => {
  const foreign = { name: 'cio_foreign_access_key', set: 'foreign' };
  const missing = { name: 'cio_missing_access_key', set: 'missing' };

  for (const [whose, owner, space] of [
    ['nobody named', undefined, 'system'],
    ['administrators', 0, 'system'],
    ['another user', BOB.uid, 'uid:3002'],
  ] as const) {
    it(`is answered byte for byte like a missing one, after the same look-ups in the store (${whose})`, async (t) => {
      const core = await startCore(t);
      for (const value of ['first', 'second']) {
        for (const uid of [0, BOB.uid]) await core.replace(ROOT, foreign.name, value, uid);
      }
      for (const uid of [0, BOB.uid])
        await core.ask(ROOT, 'Grant', { target: foreign.name, grantees: [{ unit: 'restic.service' }], owner: uid });
      const uuid = uuidOfSet(core.vault.storeId, space, 'foreign');
      const others = uuidOfSet(core.vault.storeId, space, 'missing');
      const calls = callsAbout(foreign.name, foreign.set, uuid, owner);
      const asIfMissing = callsAbout(missing.name, missing.set, others, owner);
      for (const [index, [method, parameters]] of calls.entries()) {
        const ask = async ([name, given]: Call): Promise<string> => {
          core.store.reads.length = 0;
          const reply = JSON.stringify(await core.call(ALICE, name, given));
          return `${reply}\n${core.store.reads.join('\n')}`.replaceAll(uuid, others).replaceAll('foreign', 'missing');
        };
        const seen = await ask([method, parameters] as Call);
        assert.equal(seen, await ask(asIfMissing[index] ?? assert.fail()), `${method} ${JSON.stringify(parameters)}`);
        assert.doesNotMatch(seen, /AccessDenied|AlreadyExists|Conflict|Incomplete|Damaged/);
      }
    });
  }

  it('is not looked up among the credentials that were granted to others', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, foreign.name);
    for (const target of [foreign.name, foreign.set])
      await core.ask(ROOT, 'Grant', { target, grantees: [{ unit: 'restic.service' }] });
    core.vault.read((reader) => {
      const { mock } = t.mock.method(reader, 'grantees');
      assert.equal(mayRead(core.caller(ALICE), reader, 'system', foreign.name), false);
      assert.equal(mayReadSet(core.caller(ALICE), reader, 'system', foreign.set), false);
      assert.equal(mock.callCount(), 0);
      mock.restore();
    });
  });

  it("does not block a credential of the caller's own with that name", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'cio_aws_access_key');
    await core.create(BOB, 'token');
    const { generation, saved } = await core.ask(ALICE, 'Create', {
      credentials: [
        { name: 'token', value: 'own' },
        { name: 'cio_aws_access_key', value: 'own' },
      ],
      ifGeneration: 0,
    });
    assert.deepEqual([generation, saved.map(({ created }) => created)], [1, [true, true]]);
  });

  it('needs no more reads of the store, however many credentials others own', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'own', 'cio_aws_access_key');
    const looks = async (): Promise<string[]> => {
      core.store.reads.length = 0;
      for (const [name, parameters] of [
        ...callsAbout('other', 'minio', NO_SET),
        ['List', {}],
        ['Status', {}],
      ] as Call[]) {
        await core.call(ALICE, name, parameters);
      }
      return [...core.store.reads];
    };
    await looks();
    const before = await looks();
    await core.create(ROOT, ...Array.from({ length: 700 }, (_, index) => `cio_minio${index}_access_key`));
    await core.create(BOB, ...Array.from({ length: 300 }, (_, index) => `name-${index}`));
    assert.deepEqual(await looks(), before);
  });
});

const names = ['token', 'cio_aws_access_key', 'cio_aws_secret_key', 'cio_aws_provider', 'x'];
const targets = [...names, 'aws', 'alt_aws', 'system-aws', 'bobs-aws', NO_SET];
const optional = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> => fc.constantFrom(undefined, ...values);
const some = <T>(...values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });

/** Calls that change or read something, with the given owners and grantees. */
function anyCall(owners: readonly number[], grantees: readonly object[]): fc.Arbitrary<Call> {
  const owner = optional(...owners);
  const target = fc.constantFrom(...targets);
  const one = (name: MethodName, parameters: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Call> =>
    fc.record(parameters, { noNullPrototype: true }).map((given) => [name, withoutUndefined(given)] as unknown as Call);
  return fc.oneof(
    {
      weight: 4,
      arbitrary: one('Create', {
        credentials: some(...names).map((list) => list.map((name) => ({ name, value: anyValue(name) }))),
        replace: optional(true, false),
        ifGeneration: optional(0, 1, 3),
        owner,
      }),
    },
    one('Get', { name: fc.constantFrom(...names), version: optional(1, 2), owner }),
    one('GetSet', { set: target, allowIncomplete: optional(true), owner }),
    one('List', { patterns: optional(['*'], ['aws'], ['token']), owner }),
    { weight: 2, arbitrary: one('Remove', { names: some(...targets), owner, ifGeneration: optional(0, 2) }) },
    one('Grant', { target, grantees: some(...grantees), owner }),
    one('Revoke', { target, grantees: some(...grantees), owner }),
    one('History', { name: fc.constantFrom(...names), owner }),
    one('Rollback', { target, version: optional(1), generation: optional(1, 2), owner }),
    fc.constantFrom<Call>(
      ['Status', {}],
      ['ListSlots', {}],
      ['Fsck', {}],
      ['Rekey', {}],
      ['Backup', {}],
      ['UploadCopy', { piece: '' }],
      ['Restore', { upload: '', sha256: '' }],
      ['List', { allOwners: true }],
    ),
  );
}

function withoutUndefined(given: object): object {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

describe('actions of others', () => {
  it("change no byte of a user's replies, except about what the user owns or was granted", async (t) => {
    const template = memoryDirectory(t);
    const first = await startCore(t, { directory: join(template, 'state') });
    const { storeId } = first.vault;
    await first.vault.close();

    const others = fc.record({
      person: fc.constantFrom<Person>(ROOT, BOB, RESTIC),
      call: anyCall([0, BOB.uid, RESTIC.uid], [{ uid: BOB.uid }, { gid: 9 }, { unit: 'restic.service' }]),
    });
    const alices = anyCall(
      [0, ALICE.uid, BOB.uid, 4242],
      [{ uid: ALICE.uid }, { uid: BOB.uid }, { gid: ALICE.uid }, { unit: 'restic.service' }],
    );
    const step = fc.record({
      before: fc.array(others, { maxLength: 3 }),
      meanwhile: fc.array(others, { maxLength: 2 }),
      call: alices,
    });
    const uuids = new Map([
      ['system-aws', uuidOfSet(storeId, 'system', 'aws')],
      ['bobs-aws', uuidOfSet(storeId, 'uid:3002', 'aws')],
    ]);
    const act = (core: Core, person: Person, [name, parameters]: Call): Promise<Reply> => {
      const text = JSON.stringify(parameters).replaceAll(/system-aws|bobs-aws/g, (word) => uuids.get(word) ?? word);
      return core.call(person, name, JSON.parse(text) as object);
    };

    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
        const cleanUps: (() => unknown)[] = [];
        const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
        try {
          const [crowded, lonely] = await Promise.all(
            ['crowded', 'lonely'].map((world) => {
              const directory = join(memoryDirectory(scope), world);
              cpSync(join(template, 'state'), directory, { recursive: true });
              return startCore(scope, { directory });
            }),
          );
          assert.ok(crowded !== undefined && lonely !== undefined);
          for (const { before, meanwhile, call } of steps) {
            for (const other of before) await act(crowded, other.person, other.call);
            const underWay = meanwhile.map((other) => act(crowded, other.person, other.call));
            const [seen, alone]: Reply[] = await Promise.all([act(crowded, ALICE, call), act(lonely, ALICE, call)]);
            await Promise.all(underWay);
            assert.equal(JSON.stringify(seen), JSON.stringify(alone), JSON.stringify(call));
          }
        } finally {
          for (const cleanUp of cleanUps.toReversed()) await cleanUp();
        }
      }),
      { numRuns: 40 },
    );
  });
});
