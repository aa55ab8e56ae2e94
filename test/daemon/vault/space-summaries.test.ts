import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIELD_IDS } from '../../../src/providers/registry.ts';
import { memberName } from '../../../src/sets.ts';
import { emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { CredentialRecord, Space } from '../../../daemon/vault/records.ts';
import { SpaceSummaries } from '../../../daemon/vault/space-summaries.ts';

/** A credential whose versions have these sizes; the generation of each is ten times its number. */
function credential(space: Space, name: string, ...sizes: readonly number[]): CredentialRecord {
  const versions = sizes.map((size, index) => ({
    version: index + 1,
    generation: 10 * (index + 1),
    changed: 1,
    changedBy: 0,
    size,
  }));
  return { id: `${space} ${name}`, space, name, created: 1, createdBy: 0, versions };
}

const NONE: ReadonlySet<number> = new Set();
const place = { space: 'system', set: 'backup' } as const;
const [first = assert.fail(), second = assert.fail()] = FIELD_IDS.map((field) =>
  credential('system', memberName('backup', field), 5),
);

describe('SpaceSummaries', () => {
  it('counts the credentials of each space, and names and bytes only for those of users', () => {
    const summaries = new SpaceSummaries();
    summaries.add(credential('system', 'a', 5, 6), NONE);
    summaries.add(credential('uid:5', 'a', 5), NONE);
    summaries.add(credential('uid:5', 'b', 1, 2, 3), new Set([2]));
    assert.deepEqual(
      [...summaries.bySpace],
      [
        ['system', { generation: 20, count: 1, names: [], bytes: 0 }],
        ['uid:5', { generation: 30, count: 2, names: ['a', 'b'], bytes: 5 + 1 + 3 }],
      ],
    );
  });

  it('subtracts a credential, but keeps the generation', () => {
    const summaries = new SpaceSummaries();
    for (const name of ['a', 'b', 'c']) summaries.add(credential('uid:5', name, 1, 2), new Set([1]));
    summaries.subtract(credential('uid:5', 'b', 1, 2), new Set([1]));
    assert.deepEqual(summaries.bySpace.get('uid:5'), { generation: 20, count: 2, names: ['a', 'c'], bytes: 4 });
  });

  it('finds the sets of which the given credentials are all that there is', () => {
    const summaries = new SpaceSummaries();
    const alone = credential('system', 'alone', 5);
    for (const record of [first, second, alone]) summaries.add(record, NONE);
    assert.deepEqual(summaries.setsWithin([first, alone]), []);
    assert.deepEqual(summaries.setsWithin([first, alone, second]), [place]);
    assert.ok(summaries.hasSet(place));
    assert.ok(!summaries.hasSet({ ...place, space: 'uid:5' }));
    summaries.subtract(first, NONE);
    assert.ok(summaries.hasSet(place));
    summaries.subtract(second, NONE);
    assert.ok(!summaries.hasSet(place));
  });

  it('compares the record of a space: every total must be the same, and no version may be newer', () => {
    const summaries = new SpaceSummaries();
    for (const name of ['a', 'b']) summaries.add(credential('uid:5', name, 7), NONE);
    const record = { ...emptyPrincipal('uid:5'), generation: 10, count: 2, names: ['b', 'a'], bytes: 14 };
    const matches = (change: Partial<typeof record>): boolean => summaries.matches('uid:5', { ...record, ...change });
    assert.ok(matches({}));
    assert.ok(matches({ generation: 11 }), 'a removal makes a generation without a version');
    for (const change of [{ generation: 9 }, { count: 1 }, { names: ['a', 'c'] }, { names: ['a'] }, { bytes: 13 }])
      assert.ok(!matches(change), JSON.stringify(change));
    assert.ok(summaries.matches('uid:6', { ...emptyPrincipal('uid:6'), generation: 3 }), 'a space without credentials');
  });
});
