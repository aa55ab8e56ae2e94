import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { Space } from '../../../daemon/vault/records.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { ATTACKS, CURRENT, large, storeWithPast } from './attacked-store.ts';
import type { TestVault } from './open-vault.ts';
import { editFile, putRow, rowsOf } from './raw-file.ts';

/** What a credential is now, by its space and name. */
function current(opened: TestVault, place: string): string | undefined {
  const [space = '', name = ''] = place.split('/');
  return opened.value(name, undefined, space as Space);
}

const history = await storeWithPast({ after });

describe('repair()', async () => {
  const whole = (await history.opened({ after })).vault.read((reader) => reader.credentials(undefined, 100).records);
  // Without a head, commits are counted on from the newest list.
  const newestList = Math.max(...whole.map(({ listed }) => Number.parseInt(listed ?? '0')));
  for (const [what, { edit, lost = [] }] of Object.entries(ATTACKS)) {
    it(`leaves a clean store, with all that can be read, after somebody ${what}`, async (t) => {
      let opened = await history.opened(t, edit);
      const commits = opened.vault.unlocked().head?.commits ?? newestList;
      assert.notDeepEqual((await opened.repair()).problems, []);
      assert.equal(opened.vault.unlocked().head?.commits, commits + 1);
      for (const reopen of [false, true]) {
        if (reopen) opened = await opened.reopened();
        assert.deepEqual((await opened.fsck()).problems, []);
        for (const [place, value] of Object.entries(CURRENT)) {
          if (!lost.includes(place)) assert.equal(current(opened, place), value, place);
        }
      }
      await opened.save('rotated', 'after the repair');
      await opened.save('mine', 'after the repair', 'uid:5');
      assert.deepEqual((await opened.fsck()).problems, []);
      assert.equal((await opened.rekey()).keyEpoch, 2);
    });
  }

  /** Nothing in the file tells any more that there was something newer. */
  const UNTOLD = ['puts an older record back and deletes the newer value'];

  for (const [what, { edit, lost = [] }] of Object.entries(ATTACKS)) {
    if (lost.length === 0 || UNTOLD.includes(what)) continue;
    it(`never makes an older value the current one, after somebody ${what}`, async (t) => {
      const opened = await history.opened(t, edit);
      await opened.repair();
      for (const place of lost) assert.equal(current(opened, place), undefined);
    });
  }

  it('drops a credential whose record was put back from an older copy, with what is known of it', async (t) => {
    for (const [what, name, space] of [
      ['puts the oldest record of a rotated credential back', 'rotated', 'system'],
      ['puts the oldest credential with its value back', 'small', 'system'],
      ["puts the older record of a user's credential back", 'mine', 'uid:5'],
    ] as const) {
      const opened = await history.opened(t, ATTACKS[what]?.edit);
      const before = opened.vault.read((reader) => reader.principal(space));
      await opened.repair();
      assert.equal(opened.value(name, undefined, space), undefined);
      const after = opened.vault.read((reader) => reader.principal(space));
      assert.equal(after?.count, (before?.count ?? 0) - 1);
      assert.ok(!after?.names.includes(name));
      assert.deepEqual(after?.grants, before?.grants);
      assert.equal(await opened.save(name, 'anew', space), 1);
      assert.deepEqual((await opened.fsck()).problems, []);
    }
  });

  it('lists a credential anew whose list is lost, once', async (t) => {
    const opened = await history.opened(t, ATTACKS['deletes a list of names']?.edit);
    const listings = (): unknown[] =>
      opened.vault.read((reader) => ['one', 'two', 'three'].map((name) => reader.credential('system', name)?.listed));
    const before = listings();
    assert.equal(new Set(before).size, 1);
    await opened.repair();
    const after = listings();
    assert.equal(new Set(after).size, 1);
    assert.notDeepEqual(after, before);
    await opened.remove('two');
    assert.deepEqual((await opened.fsck()).problems, []);
    assert.deepEqual(opened.value('one'), 'one');
  });

  it('gives back what a space knows of itself', async (t) => {
    const known = (await history.opened(t)).vault.read((reader) => reader.principal('uid:5'));
    const opened = await history.opened(t, ATTACKS['changes a bit of what is known of a user']?.edit);
    await assert.rejects(opened.save('mine', 'while it is damaged', 'uid:5'), (error) =>
      isCredentialError(error, 'Damaged'),
    );
    assert.equal(opened.value('mine', undefined, 'uid:5'), large('mine 2'));
    await opened.repair();
    const repaired = opened.vault.read((reader) => reader.principal('uid:5'));
    assert.deepEqual({ ...repaired, names: repaired?.names.toSorted() }, { ...known, names: known?.names.toSorted() });
  });

  it('leaves the slots where none of them can be read, and drops a damaged one beside a good one', async (t) => {
    const opened = await history.opened(t);
    const [slot = assert.fail()] = rowsOf(opened.path, KIND.slot);
    const damaged = { ...slot, body: slot.body.subarray(1) };
    editFile(opened.path, (database) => putRow(database, damaged));
    assert.ok((await opened.repair()).problems.some(({ detail }) => /slot is damaged/.test(detail)));
    assert.deepEqual(rowsOf(opened.path, KIND.slot), [damaged]);
    const other = { ...damaged, tag: Buffer.from('ffffffff') };
    editFile(opened.path, (database) => [slot, other].forEach((row) => putRow(database, row)));
    await opened.repair();
    assert.deepEqual(rowsOf(opened.path, KIND.slot), [slot]);
  });

  it('changes nothing in a store that is as it should be', async (t) => {
    const made = await history.opened(t);
    const before = made.vault.unlocked().head?.commits;
    assert.deepEqual((await made.repair()).problems, []);
    assert.equal(made.vault.unlocked().head?.commits, before);
  });
});
