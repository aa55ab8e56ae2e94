import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { Space } from '../../../daemon/vault/records.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { ATTACKS, CURRENT, attack, large, storeWithPast } from './attacked-store.ts';
import type { TestVault } from './open-vault.ts';
import { editFile, putRow, rowsOf } from './raw-file.ts';

/** Returns the current value of a credential, given as space/name. */
function current(opened: TestVault, place: string): string | undefined {
  const [space = '', name = ''] = place.split('/');
  return opened.value(name, undefined, space as Space);
}

const history = await storeWithPast({ after });

describe('repair()', async () => {
  const whole = (await history.opened({ after })).vault.read((reader) => reader.credentials(undefined, 100).records);
  // Without a head, counting continues from the newest list.
  const newestList = Math.max(...whole.map(({ listed }) => Number.parseInt(listed ?? '0')));
  for (const [what, { edit, lost = [] }] of Object.entries(ATTACKS)) {
    it(`leaves a clean store with everything readable after an attacker ${what}`, async (t) => {
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

  /** Nothing left in the file shows that there was a newer value. */
  const UNDETECTABLE = ['puts an older record back and deletes the newer value'];

  for (const [what, { edit, lost = [] }] of Object.entries(ATTACKS)) {
    if (lost.length === 0 || UNDETECTABLE.includes(what)) continue;
    it(`never makes an older value current after an attacker ${what}`, async (t) => {
      const opened = await history.opened(t, edit);
      await opened.repair();
      for (const place of lost) assert.equal(current(opened, place), undefined);
    });
  }

  for (const [what, { edit, servedAgain = [] }] of Object.entries(ATTACKS)) {
    if (servedAgain.length === 0) continue;
    it(`removes again what was removed before, after somebody ${what}`, async (t) => {
      const opened = await history.opened(t, edit);
      const count = (): number => opened.vault.read((reader) => reader.credentials(undefined, 100).records.length);
      const before = count();
      for (const place of servedAgain) assert.notEqual(current(opened, place), undefined, place);
      await opened.repair();
      for (const place of servedAgain) assert.equal(current(opened, place), undefined, place);
      assert.equal(count(), before - servedAgain.length);
    });
  }

  it('drops a credential whose record was put back from an older copy, and its name and count', async (t) => {
    for (const [what, name, space] of [
      ['puts the oldest record of a rotated credential back', 'rotated', 'system'],
      ['puts the oldest credential with its inline value back', 'small', 'system'],
      ["puts the older record of a user's credential back", 'mine', 'uid:5'],
    ] as const) {
      const opened = await history.opened(t, attack(what));
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

  it('lists a credential again, once, if its list is lost', async (t) => {
    const opened = await history.opened(t, attack('deletes a list of names'));
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

  it('restores the principal record of a space', async (t) => {
    const known = (await history.opened(t)).vault.read((reader) => reader.principal('uid:5'));
    const opened = await history.opened(t, attack('changes a bit of the principal record of a user'));
    await assert.rejects(opened.save('mine', 'while it is damaged', 'uid:5'), (error) =>
      isCredentialError(error, 'Damaged'),
    );
    assert.equal(opened.value('mine', undefined, 'uid:5'), large('mine 2'));
    await opened.repair();
    const repaired = opened.vault.read((reader) => reader.principal('uid:5'));
    assert.deepEqual({ ...repaired, names: repaired?.names.toSorted() }, { ...known, names: known?.names.toSorted() });
  });

  it('leaves the slots if none can be read, and drops a damaged one beside a good one', async (t) => {
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

  it('changes nothing in an intact store', async (t) => {
    const made = await history.opened(t);
    const before = made.vault.unlocked().head?.commits;
    assert.deepEqual((await made.repair()).problems, []);
    assert.equal(made.vault.unlocked().head?.commits, before);
  });
});
