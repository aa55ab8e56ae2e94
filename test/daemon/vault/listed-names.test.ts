import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { ListedNames } from '../../../daemon/vault/listed-names.ts';
import { encodeRecord } from '../../../daemon/vault/records.ts';
import type { CredentialRecord } from '../../../daemon/vault/records.ts';
import type { Sealing } from '../../../daemon/vault/sealing.ts';
import type { Scope } from '../../support/scope.ts';
import { TestVault } from './open-vault.ts';

async function newSealing(scope: Scope): Promise<Sealing> {
  return (await TestVault.create(scope)).vault.unlocked().sealing;
}

function sealedList(sealing: Sealing, id: string, ...names: readonly string[]): SealedRecord {
  const tag = sealing.namesTag(id);
  return { kind: KIND.names, tag, body: sealing.seal(KIND.names, tag, encodeRecord({ id, names })) };
}

/** A shared credential that refers to a list, or an old one that refers to none. */
function credential(name: string, listed?: string): CredentialRecord {
  return { id: `${name} in ${listed}`, space: 'system', name, created: 1, createdBy: 0, listed, versions: [] };
}

const namesOf = (records: readonly CredentialRecord[]): string[] => records.map(({ name }) => name);

describe('ListedNames', () => {
  it('has nothing left if each name has its credential, and each credential its list', async (t) => {
    const sealing = await newSealing(t);
    const lists = new ListedNames(sealing);
    for (const list of [sealedList(sealing, '2.0', 'a', 'b'), sealedList(sealing, '3.0', 'c')])
      assert.ok(lists.read(list));
    for (const record of [credential('a', '2.0'), credential('b', '2.0'), credential('c', '3.0'), credential('old')])
      assert.equal(lists.strike(record), undefined);
    assert.deepEqual([[...lists.missing()], lists.unlisted, lists.lost], [[], [], 0]);
    assert.ok([...lists.withoutCredential.values()].every((names) => names.size === 0));
  });

  it('returns a problem for a credential that its list does not contain, also if it is there twice', async (t) => {
    const sealing = await newSealing(t);
    const lists = new ListedNames(sealing);
    lists.read(sealedList(sealing, '2.0', 'a'));
    assert.equal(lists.strike(credential('a', '2.0')), undefined);
    for (const name of ['b', 'a']) {
      const problem = lists.strike({ ...credential(name, '2.0'), id: `another ${name}` });
      assert.deepEqual([problem?.what, problem?.name], ['added', name]);
    }
    assert.deepEqual(namesOf(lists.unlisted), ['b', 'a']);
    assert.equal(lists.lost, 0);
  });

  it('counts a list as lost only if there is none, and not if it is damaged', async (t) => {
    const sealing = await newSealing(t);
    const lists = new ListedNames(sealing);
    const { tag, body, kind } = sealedList(sealing, '2.0', 'a');
    assert.ok(!lists.read({ kind, tag, body: body.toReversed() }));
    const [ofDamaged, ...ofLost] = [credential('a', '2.0'), credential('b', '3.0'), credential('c', '3.0')];
    for (const record of [ofDamaged, ...ofLost]) assert.equal(lists.strike(record), undefined);
    assert.deepEqual(namesOf(lists.unlisted), ['a', 'b', 'c']);
    assert.deepEqual(
      [lists.lost, lists.isListLost(ofDamaged), ...ofLost.map((record) => lists.isListLost(record))],
      [1, false, true, true],
    );
    assert.ok(!lists.isListLost(credential('old')));
    lists.forget(ofLost);
    assert.deepEqual([namesOf(lists.unlisted), lists.lost], [['a'], 0]);
  });

  it('names what has no credential, and tells a credential that was put back by its older list', async (t) => {
    const sealing = await newSealing(t);
    const lists = new ListedNames(sealing);
    for (const list of [sealedList(sealing, '9.0', 'again'), sealedList(sealing, '10.0', 'again', 'gone')])
      lists.read(list);
    const [older, newer] = [credential('again', '3.0'), credential('gone', '11.0')];
    for (const record of [older, newer]) lists.strike(record);
    assert.deepEqual(
      [...lists.missing()],
      [
        { name: 'again', putBack: older },
        { name: 'again', putBack: older },
        { name: 'gone', putBack: undefined },
      ],
    );
    assert.deepEqual(
      [...lists.withoutCredential].map(([id, names]) => [id, ...names]),
      [
        ['9.0', 'again'],
        ['10.0', 'again', 'gone'],
      ],
    );
  });
});
