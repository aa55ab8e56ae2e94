import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { comparePrincipals, dropGrantsOf, granteeOf, principalsOf } from '../../../daemon/access/grants.ts';
import { emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { PrincipalId } from '../../../daemon/vault/records.ts';
import { ALICE, ROOT, startCore } from '../core.ts';

const anyGrantee = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 2 }).map((uid) => ({ uid })),
  fc.integer({ min: 0, max: 2 ** 32 - 2 }).map((gid) => ({ gid })),
  fc
    .stringMatching(/^[A-Za-z0-9:_.\\-]{1,20}(@[A-Za-z0-9:_.\\-]{0,5})?\.(service|scope|socket|mount|swap)$/)
    .map((unit) => ({ unit })),
);

describe('principalsOf()', () => {
  it('names a principal for each grantee, from which granteeOf() restores the grantee', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyGrantee, { minLength: 1, selector: (one) => JSON.stringify(one) }), (grantees) => {
        assert.deepEqual(
          [...principalsOf(grantees)].map(([principal, terms]) => granteeOf(principal, terms)),
          grantees,
        );
      }),
    );
  });

  it('distinguishes a uid from an equal gid', () => {
    assert.equal(principalsOf([{ uid: 7 }, { gid: 7 }]).size, 2);
  });

  it('names each principal once', () => {
    assert.deepEqual([...principalsOf([{ uid: 7 }, { uid: 7, gid: null, missing: null }]).keys()], ['uid:7']);
  });

  it('does not accept a unit as the space that administrators share', () => {
    assert.throws(() => principalsOf([{ unit: 'system' }]), { code: 'InvalidName' });
  });
});

describe('comparePrincipals()', () => {
  it('sorts users before groups before units, by number and by name', () => {
    const sorted: readonly PrincipalId[] = [
      'uid:0',
      'uid:9',
      'uid:10',
      'gid:2',
      'gid:30',
      'unit:a.service',
      'unit:b.service',
      'unit:b@.service',
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray([...sorted], { minLength: sorted.length }), (shuffled) => {
        assert.deepEqual(shuffled.toSorted(comparePrincipals), sorted);
      }),
    );
  });
});

describe('dropGrantsOf()', () => {
  it('leaves principals alone that had no grant of what was removed', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'other');
    await core.ask(ROOT, 'Grant', { target: 'other', grantees: [{ uid: ALICE.uid }] });
    await core.vault.write((writer) => {
      const put = t.mock.method(writer, 'putPrincipal');
      dropGrantsOf(writer, 'system', ['token'], []);
      assert.equal(put.mock.callCount(), 0);
    });
  });

  it('writes a principal once, however many of its grants were removed', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a', 'b', 'cio_c_region', 'd');
    for (const target of ['a', 'b', 'c', 'd'])
      await core.ask(ROOT, 'Grant', { target, grantees: [{ uid: ALICE.uid }] });
    await core.vault.write((writer) => {
      const put = t.mock.method(writer, 'putPrincipal');
      dropGrantsOf(writer, 'system', ['a', 'b', 'cio_c_region'], ['c']);
      assert.equal(put.mock.callCount(), 1);
      assert.deepEqual(
        writer.principal(`uid:${ALICE.uid}`)?.grants.map(({ target }) => target),
        ['d'],
      );
    });
  });

  it('removes exactly the grants of what was removed', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const grants = [
      { space: 'system', kind: 'name', target: 'token' },
      { space: 'system', kind: 'set', target: 'token' },
      { space: 'uid:9', kind: 'name', target: 'token' },
    ] as const;
    await core.vault.write((writer) => {
      writer.putPrincipal({ ...emptyPrincipal('uid:7'), grants });
      dropGrantsOf(writer, 'system', ['token'], []);
      assert.deepEqual(writer.principal('uid:7')?.grants, grants.slice(1));
    });
  });
});
