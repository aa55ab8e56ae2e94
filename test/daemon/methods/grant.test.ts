import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  GRANTS_PER_USER_MAX,
  NAMES_PER_USER_MAX,
  SHARED_GRANTS_PER_GRANTEE_MAX,
  USERS_GRANTS_PER_GRANTEE_MAX,
} from '../../../daemon/access/quota.ts';
import { emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { GrantEntry, PrincipalRecord, Space } from '../../../daemon/vault/records.ts';
import { ITEMS_PER_CALL_MAX, NAME_LENGTH_MAX } from '../../../src/limits.ts';
import { ALICE, BOB, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';
import { flipBit, recordsIn } from '../damage.ts';

const NO_SET = '0191e1f0-7c3a-5000-8000-00000000000a';

async function reads(core: Core, person: Person, name = 'token'): Promise<boolean> {
  return (await core.call(person, 'Get', { name, owner: 0 })).error === undefined;
}

describe('Grant', () => {
  for (const [what, grantee, ones, others] of [
    ['a user', { uid: 3001 }, [ALICE], [BOB, RESTIC, { uid: 4000, gid: 3001 }]],
    [
      'a group',
      { gid: 50 },
      [
        { uid: 4000, gid: 50 },
        { uid: 4001, groups: [7, 50] },
      ],
      [ALICE, { uid: 50, gid: 7 }],
    ],
    [
      'a unit',
      { unit: 'restic.service' },
      [RESTIC, { uid: 4000, unit: 'restic.service' }],
      [
        ALICE,
        { uid: 4000, unit: 'restic.timer' },
        { uid: 4000, unit: 'restic@.service' },
        { uid: 4000, unit: 'xrestic.service' },
      ],
    ],
    [
      'a template, which stands for its instances',
      { unit: 'restic@.service' },
      [
        { uid: 4000, unit: 'restic@home.service' },
        { uid: 4000, unit: 'restic@a-b\\x2dc.service' },
      ],
      [RESTIC, { uid: 4000, unit: 'restic@home.socket' }, { uid: 4000, unit: 'other@home.service' }],
    ],
    [
      'one instance',
      { unit: 'restic@home.service' },
      [{ uid: 4000, unit: 'restic@home.service' }],
      [{ uid: 4000, unit: 'restic@srv.service' }],
    ],
  ] as const) {
    it(`lets ${what} read it, and nobody else`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'token', 'token-2');
      assert.deepEqual(await core.ask(ROOT, 'Grant', { target: 'token', grantees: [grantee] }), { generation: 2 });
      for (const person of ones) {
        assert.ok(await reads(core, person), JSON.stringify(person));
        assert.equal(await reads(core, person, 'token-2'), false);
      }
      for (const person of others) assert.equal(await reads(core, person), false, JSON.stringify(person));
    });
  }

  it('grants only the right to read, not to change or pass on', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    const denied = ['AccessDenied', { name: 'token', right: 'write' }];
    const grantees = [{ uid: BOB.uid }];
    assert.deepEqual(await core.refusal(ALICE, 'Grant', { target: 'token', grantees }), denied);
    assert.deepEqual(await core.refusal(ALICE, 'Grant', { target: 'token', grantees, owner: 0 }), denied);
    assert.deepEqual(await core.refusal(ALICE, 'Revoke', { target: 'token', grantees: [{ uid: ALICE.uid }] }), denied);
    assert.equal(await reads(core, BOB), false);
  });

  it('of a set covers every field, later ones too, by name, spelling or UUID', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_alt_access_key', 'cio_aws_access_key');
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws_alt', allowIncomplete: true });
    for (const [target, uid] of [
      ['aws_alt', 4001],
      ['alt_aws', 4002],
      [uuid, 4003],
    ] as const) {
      await core.ask(ROOT, 'Grant', { target, grantees: [{ uid }] });
    }
    await core.create(ROOT, 'cio_aws_alt_secret_key', 'cio_aws_secret_key');
    for (const uid of [4001, 4002, 4003]) {
      assert.ok(await reads(core, { uid }, 'cio_alt_aws_secret_key'));
      assert.equal(await reads(core, { uid }, 'cio_aws_secret_key'), false);
      assert.equal(await reads(core, { uid }, 'cio_aws_access_key'), false);
    }
  });

  it('accepts several grantees, all or none', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: 1 }, { gid: 2 }, { unit: 'x.service' }] });
    const bad = [{ uid: 3 }, { unit: 'no unit' }];
    assert.equal((await core.refusal(ROOT, 'Grant', { target: 'token', grantees: bad }))[0], 'InvalidName');
    const { credentials } = await core.ask(ROOT, 'List', {});
    assert.deepEqual(credentials[0]?.grants, [{ uid: 1 }, { gid: 2 }, { unit: 'x.service' }]);
  });

  it('is listed in a fixed order, whatever was granted before', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'other');
    const grantees = [{ uid: 9 }, { uid: 10 }, { gid: 2 }, { unit: 'a.service' }, { unit: 'b@.service' }];
    for (const grantee of grantees.toReversed()) {
      await core.ask(ROOT, 'Grant', { target: 'other', grantees: [grantee] });
    }
    for (const target of ['token', 'other']) {
      await core.ask(ROOT, 'Grant', { target, grantees });
      const { credentials } = await core.ask(ROOT, 'List', { patterns: [target] });
      assert.deepEqual(credentials[0]?.grants, grantees);
    }
  });

  it('twice counts once', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    for (let round = 0; round < 2; round += 1) {
      await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }, { uid: ALICE.uid }] });
    }
    const { credentials } = await core.ask(ROOT, 'List', {});
    assert.deepEqual(credentials[0]?.grants, [{ uid: ALICE.uid }]);
    const { revoked } = await core.ask(ROOT, 'Revoke', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    assert.equal(revoked, 1);
    assert.equal(await reads(core, ALICE), false);
  });

  it('survives a restart', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'token');
    await before.ask(ROOT, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service' }] });
    const core = await restartCore(t, before);
    assert.ok(await reads(core, RESTIC));
    assert.equal(await reads(core, ALICE), false);
  });

  it("applies to the user's own credential, and an administrator can grant on the user's behalf", async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'token');
    await core.ask(ALICE, 'Grant', { target: 'token', grantees: [{ uid: BOB.uid }] });
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: RESTIC.uid }], owner: ALICE.uid });
    for (const person of [BOB, RESTIC]) assert.equal(await core.value(person, 'token', ALICE.uid), 'value-of-token');
    assert.equal((await core.refusal(ROOT, 'Grant', { target: 'token', grantees: [{ uid: 1 }] }))[0], 'NotFound');
  });

  it('does not find a missing target, or one that the caller may not see', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    const grantees = [{ uid: ALICE.uid }];
    for (const [person, target] of [
      [ROOT, 'none'],
      [ROOT, NO_SET],
      [ALICE, 'cio_aws_access_key'],
      [ALICE, 'aws'],
      [ALICE, uuid],
    ] as const) {
      assert.deepEqual(await core.refusal(person, 'Grant', { target, grantees, owner: 0 }), [
        'NotFound',
        { name: target },
      ]);
    }
    assert.equal(await reads(core, ALICE, 'cio_aws_access_key'), false);
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Grant', { target: 'token', grantees: [{ uid: 1 }] }), ['Locked', {}]);
  });
});

describe('Grant: grantees', () => {
  const exactlyOne = 'a grantee is exactly one of unit, uid and gid';
  const range = 'a uid or gid is out of range';
  const noUnit = 'the unit has no valid unit name';
  for (const [grantees, reason] of [
    [[], 'no grantee is given'],
    [[{}], exactlyOne],
    [[{ uid: null, gid: null, unit: null }], exactlyOne],
    [[{ uid: 1, gid: 1 }], exactlyOne],
    [[{ uid: 1, unit: 'x.service' }], exactlyOne],
    [[{ uid: -1 }], range],
    [[{ uid: 2 ** 32 - 1 }], range],
    [[{ gid: 2 ** 32 }], range],
    [[{ unit: '' }], noUnit],
    [[{ unit: 'restic' }], noUnit],
    [[{ unit: 'restic.timer' }], noUnit],
    [[{ unit: 'a/b.service' }], noUnit],
    [[{ unit: 'a b.service' }], noUnit],
    [[{ unit: '@c.service' }], noUnit],
    [[{ unit: `${'a'.repeat(248)}.service` }], noUnit],
    [[{ unit: 'system.slice' }], noUnit],
  ] as const) {
    it(`refuses ${JSON.stringify(grantees).slice(0, 60)}, and so does Revoke`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'token');
      for (const method of ['Grant', 'Revoke'] as const) {
        assert.deepEqual(await core.refusal(ROOT, method, { target: 'token', grantees }), [
          'InvalidName',
          { name: '', reason },
        ]);
      }
    });
  }

  it('refuses too many grantees in one call', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const grantees = Array.from({ length: ITEMS_PER_CALL_MAX + 1 }, (_, uid) => ({ uid }));
    const tooLarge = ['TooLarge', { limit: ITEMS_PER_CALL_MAX }];
    for (const method of ['Grant', 'Revoke'] as const) {
      assert.deepEqual(await core.refusal(ROOT, method, { target: 'token', grantees }), tooLarge);
    }
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: grantees.slice(1) });
  });
});

describe('Grant: limits per grantee', () => {
  const longest = (count: number, start: string): string[] =>
    Array.from({ length: count }, (_, index) => `${start}${index}`.padEnd(NAME_LENGTH_MAX, 'x'));
  const granted = (space: Space, count: number): GrantEntry[] =>
    longest(count, 'n').map((target) => ({ space, kind: 'name', target, missing: 'block' }));

  it("keep the grantee's record readable, and users cannot exhaust the limit of administrators", async (t) => {
    const core = await startCore(t);
    await core.create(BOB, 'mine');
    await core.create(ALICE, 'a', 'b');
    await core.create(ROOT, 'a', 'b');
    const grants = [
      ...granted('system', SHARED_GRANTS_PER_GRANTEE_MAX - 1),
      ...granted('uid:4294967294', USERS_GRANTS_PER_GRANTEE_MAX - 1),
    ];
    const names = longest(NAMES_PER_USER_MAX, 'cio_set');
    const removals = Object.fromEntries(names.map((name) => [name, Number.MAX_SAFE_INTEGER]));
    const full: PrincipalRecord = { ...emptyPrincipal('uid:3002'), generation: 1, count: 1, names, removals, grants };
    await core.vault.write((writer) => writer.putPrincipal(full));
    const grantees = [{ uid: BOB.uid }];
    for (const [person, limit] of [
      [ALICE, USERS_GRANTS_PER_GRANTEE_MAX],
      [ROOT, SHARED_GRANTS_PER_GRANTEE_MAX],
    ] as const) {
      await core.ask(person, 'Grant', { target: 'a', grantees });
      assert.deepEqual(await core.refusal(person, 'Grant', { target: 'b', grantees }), ['TooLarge', { limit }]);
      await core.ask(person, 'Grant', { target: 'a', grantees });
    }
    const again = await restartCore(t, core);
    const kept = again.vault.read((reader) => reader.principal('uid:3002'));
    assert.equal(kept?.grants.length, SHARED_GRANTS_PER_GRANTEE_MAX + USERS_GRANTS_PER_GRANTEE_MAX);
    assert.ok(await reads(again, BOB, 'a'));
  });
});

describe('Grant: limits per granting user', () => {
  const many = (count: number, first = 10_000): { uid: number }[] =>
    Array.from({ length: count }, (_, index) => ({ uid: first + index }));

  it('refuse a call above the limit as a whole', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'token', 'other');
    await core.ask(ALICE, 'Grant', { target: 'token', grantees: many(GRANTS_PER_USER_MAX - 1) });
    const tooLarge = ['TooLarge', { limit: GRANTS_PER_USER_MAX }];
    assert.deepEqual(await core.refusal(ALICE, 'Grant', { target: 'other', grantees: many(2) }), tooLarge);
    await core.ask(ALICE, 'Grant', { target: 'other', grantees: many(1) });
    assert.deepEqual(await core.refusal(ALICE, 'Grant', { target: 'other', grantees: [{ gid: 1 }] }), tooLarge);
    await core.ask(ALICE, 'Grant', { target: 'other', grantees: many(1) });
    await core.ask(ALICE, 'Revoke', { target: 'token', grantees: many(1) });
    await core.ask(ALICE, 'Grant', { target: 'other', grantees: [{ gid: 1 }] });
  });

  it('count the grants and revocations of earlier calls in the same commit', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'token', 'other');
    const half = many(GRANTS_PER_USER_MAX / 2);
    const replies = await Promise.all([
      core.call(ALICE, 'Grant', { target: 'token', grantees: half }),
      core.call(ALICE, 'Grant', { target: 'other', grantees: half }),
      core.call(ALICE, 'Grant', { target: 'other', grantees: [{ gid: 1 }] }),
      core.call(ALICE, 'Grant', { target: 'token', grantees: [{ gid: 1 }] }),
      core.call(ALICE, 'Revoke', { target: 'token', grantees: many(1) }),
      core.call(ALICE, 'Grant', { target: 'token', grantees: [{ gid: 1 }] }),
    ]);
    const isRefused = replies.map(({ error }) => error?.endsWith('.TooLarge') ?? false);
    assert.deepEqual(isRefused, [false, false, true, true, false, false]);
    const given = core.vault.read((reader) => reader.grantsGiven('uid:3001'));
    assert.equal(given, GRANTS_PER_USER_MAX);
  });

  it('do not limit what others may grant, to the same grantees or new ones', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: GRANTS_PER_USER_MAX }, (_, index) => `n${index}`);
    await core.create(ALICE, ...names);
    const unit = 'restic.service';
    await Promise.all(names.map((target) => core.ask(ALICE, 'Grant', { target, grantees: [{ unit }] })));
    await core.create(ROOT, 'token');
    await core.create(BOB, 'token');
    const grantees = [{ unit }, ...many(500, 50_000)];
    await core.ask(ROOT, 'Grant', { target: 'token', grantees });
    await core.ask(BOB, 'Grant', { target: 'token', grantees });
    assert.ok(await reads(core, RESTIC));
  });

  it('leave nothing in the store after a revocation', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'token');
    const before = recordsIn(core.storePath, 'principal').size;
    for (let round = 0; round < 3; round += 1) {
      const grantees = many(500, 10_000 * round);
      await core.ask(ALICE, 'Grant', { target: 'token', grantees });
      await core.ask(ALICE, 'Revoke', { target: 'token', grantees });
    }
    assert.equal(recordsIn(core.storePath, 'principal').size, before);
    assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
  });

  it('do not apply to administrators', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a', 'b');
    for (const target of ['a', 'b']) await core.ask(ROOT, 'Grant', { target, grantees: many(ITEMS_PER_CALL_MAX) });
  });

  describe('of a missing credential', () => {
    const block = { unit: 'restic.service', missing: 'block' } as const;

    it('is kept for a unit that waits, and listed once the credential exists', async (t) => {
      const core = await startCore(t);
      await core.ask(ROOT, 'Grant', { target: 'token', grantees: [block] });
      await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [block] });
      assert.equal(await reads(core, RESTIC), false);
      await core.create(ROOT, 'token', 'cio_aws_secret_key');
      assert.equal(await reads(core, RESTIC), true);
      assert.equal(await reads(core, RESTIC, 'cio_aws_secret_key'), true, 'it was granted as a set');
      const { credentials, sets } = await core.ask(ROOT, 'List', {});
      assert.deepEqual(credentials.find(({ name }) => name === 'token')?.grants, [block]);
      assert.deepEqual(sets[0]?.grants, [block]);
    });

    it('survives a restart', async (t) => {
      const core = await startCore(t);
      await core.ask(ROOT, 'Grant', { target: 'token', grantees: [block] });
      const again = await restartCore(t, core);
      await again.create(ROOT, 'token');
      assert.equal(await reads(again, RESTIC), true);
    });

    it('can be revoked like any other grant', async (t) => {
      const core = await startCore(t);
      await core.ask(ROOT, 'Grant', { target: 'token', grantees: [block] });
      const grantees = [{ unit: 'restic.service' }];
      assert.equal((await core.ask(ROOT, 'Revoke', { target: 'token', grantees })).revoked, 1);
      await core.create(ROOT, 'token');
      assert.equal(await reads(core, RESTIC), false);
      assert.deepEqual(await core.refusal(ROOT, 'Revoke', { target: 'other', grantees }), [
        'NotFound',
        { name: 'other' },
      ]);
    });

    it('is refused unless a unit waits for it, and to anyone but administrators', async (t) => {
      const core = await startCore(t);
      for (const grantees of [
        [{ unit: 'restic.service' }],
        [{ ...block, missing: 'fail' as const }],
        [block, { uid: 5 }],
      ]) {
        assert.deepEqual(await core.refusal(ROOT, 'Grant', { target: 'token', grantees }), [
          'NotFound',
          { name: 'token' },
        ]);
      }
      assert.deepEqual(await core.refusal(ALICE, 'Grant', { target: 'token', grantees: [block] }), [
        'NotFound',
        { name: 'token' },
      ]);
      const ofAlice = { target: 'token', grantees: [block], owner: ALICE.uid };
      assert.deepEqual(await core.refusal(ROOT, 'Grant', ofAlice), ['NotFound', { name: 'token' }]);
      const users = [{ uid: 5, missing: 'block' as const }];
      assert.equal((await core.refusal(ROOT, 'Grant', { target: 'token', grantees: users }))[0], 'InvalidName');
    });

    it('is refused for a damaged credential', async (t) => {
      const before = await startCore(t);
      await before.create(ROOT, 'token');
      const [tag = ''] = recordsIn(before.storePath, 'credential').keys();
      const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
      assert.equal((await core.refusal(ROOT, 'Grant', { target: 'token', grantees: [block] }))[0], 'Damaged');
    });

    it('replaces an earlier grant: the last one counts, and is listed once', async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'token');
      for (const grantee of [
        block,
        { unit: 'restic.service', missing: null },
        block,
        { ...block, missing: 'fail' },
      ] as const) {
        await core.ask(ROOT, 'Grant', { target: 'token', grantees: [grantee] });
        const { credentials } = await core.ask(ROOT, 'List', {});
        const expected = grantee.missing === 'block' ? block : { unit: 'restic.service' };
        assert.deepEqual(credentials[0]?.grants, [expected]);
      }
    });
  });
});
