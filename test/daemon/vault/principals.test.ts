import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import type { SealedReader, StoreFailure } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { grantKey, isSameGrant } from '../../../daemon/vault/grant-index.ts';
import { Principals, StagedPrincipals, readPrincipals } from '../../../daemon/vault/principals.ts';
import { emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { GrantEntry, PrincipalId } from '../../../daemon/vault/records.ts';
import { TestVault } from './open-vault.ts';
import { putRow, rowsOf } from './raw-file.ts';

const GRANT: GrantEntry = { space: 'system', kind: 'name', target: 'token' };

describe('Principals', () => {
  it('updates the records and the grants per owner and per grantee on each commit', () => {
    const principals = new Principals();
    const granteesOf = (): PrincipalId[] => [...principals.grants.grantees('system', 'name', 'token').keys()];
    principals.follow([
      { ...emptyPrincipal('uid:1'), grants: [GRANT] },
      { ...emptyPrincipal('gid:2'), grants: [GRANT] },
      { ...emptyPrincipal('system'), generation: 1 },
    ]);
    assert.deepEqual([granteesOf(), principals.grants.given('system')], [['uid:1', 'gid:2'], 2]);
    principals.follow([emptyPrincipal('uid:1'), { ...emptyPrincipal('system'), generation: 2 }]);
    assert.deepEqual([granteesOf(), principals.grants.given('system')], [['gid:2'], 1]);
    assert.deepEqual([...principals.keys()], ['gid:2', 'system'], 'an empty record is one that is gone');
    assert.equal(principals.get('system')?.generation, 2);
    principals.delete('gid:2');
    assert.deepEqual([granteesOf(), principals.grants.given('system')], [[], 0]);
  });

  it('has the same grants after incremental updates as after reading all records anew', () => {
    const anyGrant = fc.record<GrantEntry>(
      {
        space: fc.constantFrom('system', 'uid:1'),
        kind: fc.constantFrom('name', 'set'),
        target: fc.constantFrom('a', 'b'),
        missing: fc.constant('block'),
      },
      { requiredKeys: ['space', 'kind', 'target'] },
    );
    const anyGrants = fc.uniqueArray(anyGrant, { selector: grantKey });
    const anyRecord = fc.record({ principal: fc.constantFrom<PrincipalId>('uid:1', 'gid:2'), grants: anyGrants });
    const anyChange = fc.record({ record: anyRecord, isKept: fc.boolean() });
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 10 }), (changes) => {
        const followed = new Principals();
        for (const { record, isKept } of changes) {
          const old = isKept ? (followed.get(record.principal)?.grants ?? []) : [];
          const others = record.grants.filter((grant) => !old.some((one) => isSameGrant(one, grant)));
          followed.follow([{ ...emptyPrincipal(record.principal), grants: [...old, ...others] }]);
        }
        const anew = new Principals();
        anew.follow(followed.values());
        for (const space of ['system', 'uid:1'] as const) {
          assert.equal(followed.grants.given(space), anew.grants.given(space));
          for (const [kind, target] of [
            ['name', 'a'],
            ['name', 'b'],
            ['set', 'a'],
            ['set', 'b'],
          ] as const) {
            const wanted = { space, kind, target };
            const holders = followed.grants.grantees(space, kind, target);
            assert.deepEqual(holders, anew.grants.grantees(space, kind, target));
            for (const id of ['uid:1', 'gid:2'] as const)
              assert.equal(followed.grants.isGranted(['unit:x.service', id], wanted), holders.has(id));
          }
        }
      }),
    );
  });
});

describe('StagedPrincipals', () => {
  it('shows the principals that earlier calls kept, and not those of dropped calls', () => {
    const committed = new Principals();
    committed.follow([{ ...emptyPrincipal('uid:3'), generation: 1 }]);
    const staged = new StagedPrincipals(committed);
    const ids = (): PrincipalId[] => [...staged.values()].map(({ principal }) => principal);
    assert.equal(staged.hasKept, false);
    staged.put({ ...emptyPrincipal('gid:1'), grants: [GRANT] });
    staged.keep();
    staged.put(emptyPrincipal('gid:1'));
    staged.put({ ...emptyPrincipal('gid:2'), grants: [GRANT] });
    assert.deepEqual(staged.get('gid:1')?.grants, []);
    assert.deepEqual(ids(), ['uid:3', 'gid:1', 'gid:2']);
    staged.drop();
    assert.deepEqual(ids(), ['uid:3', 'gid:1']);
    assert.deepEqual(staged.get('gid:1')?.grants, [GRANT]);
    assert.equal(staged.get('gid:2'), undefined);
    assert.deepEqual([staged.hasKept, staged.kept()], [true, [{ ...emptyPrincipal('gid:1'), grants: [GRANT] }]]);
    assert.deepEqual([...committed.keys()], ['uid:3']);
  });

  it('counts grantees and grants, its own changes included', () => {
    const [a, b] = (['a', 'b'] as const).map((target) => ({ space: 'system', kind: 'name', target }) as const);
    const other = { space: 'uid:5', kind: 'name', target: 'a' } as const;
    assert.ok(a !== undefined && b !== undefined);
    const committed = new Principals();
    committed.follow([
      { ...emptyPrincipal('gid:1'), grants: [a, b, other] },
      { ...emptyPrincipal('gid:2'), grants: [a] },
    ]);
    const staged = new StagedPrincipals(committed);
    const known = (): unknown[] => [
      [...staged.grantees('system', 'name', 'a').keys()].toSorted(),
      [...staged.grantees('system', 'name', 'b').keys()].toSorted(),
      staged.grantsGiven('system'),
      staged.grantsGiven('uid:5'),
    ];
    const checkGranted = (): void => {
      for (const wanted of [a, b, other]) {
        const holders = staged.grantees(wanted.space, wanted.kind, wanted.target);
        for (const id of ['gid:1', 'gid:2', 'unit:x.service'] as const)
          assert.equal(staged.isGranted(['uid:5', id], wanted), holders.has(id), `${id} ${grantKey(wanted)}`);
      }
    };
    assert.deepEqual(known(), [['gid:1', 'gid:2'], ['gid:1'], 3, 1]);
    checkGranted();
    staged.put({ ...emptyPrincipal('gid:1'), grants: [b] });
    staged.put({ ...emptyPrincipal('unit:x.service'), grants: [a, other] });
    const changed = [['gid:2', 'unit:x.service'], ['gid:1'], 3, 1];
    assert.deepEqual(known(), changed);
    checkGranted();
    staged.keep();
    assert.deepEqual(known(), changed);
    checkGranted();
    staged.put(emptyPrincipal('gid:2'));
    assert.deepEqual(known(), [['unit:x.service'], ['gid:1'], 2, 1]);
    checkGranted();
    staged.drop();
    assert.deepEqual(known(), changed);
  });
});

describe('readPrincipals()', () => {
  it('reads any number of records, and leaves out damaged ones', async (t) => {
    const made = await TestVault.create(t);
    await made.vault.write((writer) => {
      for (let uid = 1; uid <= 1100; uid += 1)
        writer.putPrincipal({ ...emptyPrincipal(`uid:${uid}`), grants: [GRANT] });
    });
    const opened = await made.reopened();
    const { principals, arePrincipalsWhole } = opened.vault.unlocked();
    assert.deepEqual([principals.size, principals.grants.given('system'), arePrincipalsWhole], [1100, 1100, true]);
    const damaged = await opened.tampered((database) => {
      const [row] = rowsOf(opened.path, KIND.principal);
      putRow(database, { ...(row ?? assert.fail()), body: Buffer.alloc(300) });
    });
    const state = damaged.vault.unlocked();
    assert.deepEqual([state.principals.size, state.arePrincipalsWhole], [1099, false]);
  });

  it('returns none if a page is damaged, so that nothing is written; throws if the disk fails', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value');
    const { sealing } = made.vault.unlocked();
    const failing = (failure: StoreFailure): SealedReader => ({
      get: () => undefined,
      list: () => {
        throw new StoreError(failure, 'by the test');
      },
    });
    const { principals, arePrincipalsWhole } = readPrincipals(failing('damaged'), sealing);
    assert.deepEqual([principals.size, arePrincipalsWhole], [0, false]);
    assert.throws(() => readPrincipals(failing('io'), sealing), StoreError);
    t.mock.method(made.store, 'list', (...given: Parameters<SealedReader['list']>) => {
      if (given[0] === KIND.principal) return failing('damaged').list(...given);
      return SqliteStore.prototype.list.apply(made.store, given);
    });
    await made.vault.lock();
    await made.slots.unlockUnattended();
    assert.equal(made.value('a'), 'value');
    await assert.rejects(made.save('a', 'new'), { code: 'Damaged' });
  });
});
