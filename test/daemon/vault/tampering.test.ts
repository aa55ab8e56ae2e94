import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { Space } from '../../../daemon/vault/records.ts';
import { CredentialError, isCredentialError } from '../../../src/errors.ts';
import { ATTACKS, CURRENT, attack, large, storeWithPast } from './attacked-store.ts';
import { TestVault } from './open-vault.ts';
import { deleteRow, editFile, newRows, putRow, rowsOf } from './raw-file.ts';

const history = await storeWithPast({ after });

/** Every value that a credential ever had: the worst that a replay can yield. */
const EVER: Readonly<Record<string, readonly string[]>> = {
  'system/rotated': [large('rotated 1'), large('rotated 2'), large('rotated 3')],
  'system/plain': [large('plain 1')],
  'system/again': [large('again, before'), large('again, anew')],
  'system/often': [large('often 11')],
  'uid:7/only': [large('only 1')],
  'uid:5/mine': [large('mine 1'), large('mine 2')],
  'uid:5/other': [large('other 1')],
  'system/small': ['small 1', 'small 2', 'small 3'],
  'system/shrunk': [large('shrunk 1'), 'shrunk 2'],
  'system/gone': ['gone, before'],
  'uid:6/dropped': ['dropped, before'],
  'system/solo': ['solo 1'],
  'system/one': ['one'],
  'uid:6/pocket': ['pocket 1', 'pocket 2'],
};

const NAMES = new Set(
  [...Object.keys(EVER), ...Object.keys(CURRENT)].map((place) => place.slice(place.indexOf('/') + 1)),
);

/** Reads a credential: returns its value, undefined, or an error code. Any other error is a defect. */
function outcome(opened: TestVault, place: string): string | undefined {
  const [space = '', name = ''] = place.split('/');
  try {
    return opened.value(name, undefined, space as Space);
  } catch (error) {
    assert.ok(error instanceof CredentialError, String(error));
    return `! ${error.code}`;
  }
}

describe('a store to which an attacker without a key has written', () => {
  for (const [what, { edit }] of Object.entries(ATTACKS)) {
    it(`never gives one credential the value of another, after the attacker ${what}`, async (t) => {
      const opened = await history.opened(t, edit);
      assert.ok(!opened.vault.isLocked);
      for (const [place, values] of Object.entries(EVER)) {
        const read = outcome(opened, place);
        assert.ok(read === undefined || read === '! Damaged' || values.includes(read), `${place}: ${read}`);
      }
      for (const { name } of opened.vault.read((reader) => reader.credentials(undefined, 100)).records) {
        assert.ok(NAMES.has(name));
      }
    });
  }

  /** Attacks that put the complete earlier state of a credential back. */
  const REPLAYS = new Set([
    'puts the older record of a rotated credential back',
    'puts the oldest record of a rotated credential back',
    "puts the older record of a user's credential back",
    'puts an older record back and deletes the newer value',
    'puts an older record back and deletes the value before',
    'puts a removed credential back with its value',
    'puts a removed credential back in the place of the new one',
    'puts an older credential with its inline value back',
    'puts the oldest credential with its inline value back',
    'puts a large value back in the place of a small one',
  ]);
  for (const [what, { edit }] of Object.entries(ATTACKS)) {
    if (REPLAYS.has(what)) continue;
    it(`gives the current value or an error, after the attacker ${what}`, async (t) => {
      const opened = await history.opened(t, edit);
      for (const [place, value] of Object.entries(CURRENT)) {
        assert.ok([value, undefined, '! Damaged'].includes(outcome(opened, place)), place);
      }
    });
  }

  it('returns nothing of a removed credential whose values alone were put back', async (t) => {
    const opened = await history.opened(t, (database) => {
      putRow(database, history.row('again, before', KIND.value));
      deleteRow(database, history.row('again, anew', KIND.value));
    });
    assert.equal(outcome(opened, 'system/again'), '! Damaged');
  });

  it('decrypts no record in another row, of any kind', async (t) => {
    const rows = ['rotated 3', 'plain 1', 'mine 2'].flatMap((commit) =>
      [KIND.principal, KIND.credential, KIND.value].map((kind) => history.row(commit, kind)),
    );
    const opened = await history.opened(t);
    const { sealing } = opened.vault.unlocked();
    for (const { kind, tag } of rows) {
      for (const { body, tag: from } of rows) {
        assert.equal(sealing.open(kind as 5, tag, body) !== undefined, tag.equals(from));
      }
    }
  });

  it('decrypts no record of another store, not even one with the same key file', async (t) => {
    const other = await TestVault.create(t);
    await other.save('plain', 'of the other store');
    const rows = rowsOf(other.path);
    const opened = await history.opened(t, (database) => {
      const mine = history.row('plain 1', KIND.credential);
      for (const row of rows) if (row.kind >= KIND.principal) putRow(database, row);
      putRow(database, { ...mine, body: rows.find(({ kind }) => kind === KIND.credential)?.body ?? Buffer.of() });
    });
    assert.equal(outcome(opened, 'system/plain'), '! Damaged');
    assert.equal(outcome(opened, 'system/rotated'), large('rotated 3'));
    await other.close();
    await opened.close();
    // With its slots and keys too, it is the other store as a whole, and opens only with that store's key file.
    editFile(opened.path, (database) => {
      database.exec('DELETE FROM record');
      for (const row of rows) putRow(database, row);
    });
    assert.ok((await TestVault.open(t, opened.directory)).vault.isLocked);
    fs.copyFileSync(path.join(other.directory, 'root.key'), path.join(opened.directory, 'root.key'));
    assert.equal((await TestVault.open(t, opened.directory)).value('plain'), 'of the other store');
  });

  it('is opened with its newest data key, even if an older one was put back beside it', async (t) => {
    const made = await TestVault.create(t);
    await made.save('plain', 'value');
    const [older] = rowsOf(made.path, KIND.dataKey);
    await made.rekey();
    const opened = await made.tampered((database) => putRow(database, older ?? assert.fail()));
    assert.equal(outcome(opened, 'system/plain'), 'value');
    assert.ok((await opened.fsck()).problems.length > 0);
  });

  it('does not accept a name that was moved from one owner to another', async (t) => {
    const made = await history.opened(t);
    const before = rowsOf(made.path, KIND.credential);
    await made.save('mine', 'of everybody');
    const mine = history.row('mine 2', KIND.credential);
    const [theirs = assert.fail()] = newRows(before, rowsOf(made.path, KIND.credential));
    const opened = await made.tampered((database) => {
      putRow(database, { ...mine, body: theirs.body });
      putRow(database, { ...theirs, body: mine.body });
    });
    for (const place of ['system/mine', 'uid:5/mine']) assert.equal(outcome(opened, place), '! Damaged');
  });

  it('is still readable if a principal record is damaged', async (t) => {
    const opened = await history.opened(t, (database) => {
      const row = history.row('mine 2', KIND.principal);
      putRow(database, { ...row, body: randomBytes(300) });
    });
    assert.equal(outcome(opened, 'uid:5/mine'), large('mine 2'));
    assert.equal(
      opened.vault.read((reader) => reader.principal('uid:5')),
      undefined,
    );
    // A new principal record would lack everything in the old one.
    await assert.rejects(opened.save('new', 'value', 'uid:5'), (error) => isCredentialError(error, 'Damaged'));
    await opened.repair();
    assert.deepEqual(opened.vault.read((reader) => reader.principal('uid:5'))?.names.toSorted(), ['mine', 'other']);
  });

  it('is readable with a whole credential put back, which only fsck() reports', async (t) => {
    const opened = await history.opened(t, attack('puts an older record back and deletes the newer value'));
    assert.equal(outcome(opened, 'system/rotated'), large('rotated 2'));
    assert.notDeepEqual((await opened.fsck()).problems, []);
  });

  it('is reported by fsck() whatever is written afterwards', async (t) => {
    const opened = await history.opened(t, attack('puts a grant back that was revoked'));
    await opened.save('plain', large('plain 2'));
    await opened.grant('gid:9', { space: 'system', kind: 'name', target: 'again' });
    await opened.revoke('gid:9', { space: 'system', kind: 'name', target: 'again' });
    assert.notDeepEqual((await opened.fsck()).problems, []);
    assert.notDeepEqual((await (await opened.reopened()).fsck()).problems, []);
  });
});
