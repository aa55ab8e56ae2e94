import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import type { Kind } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { saveVersion } from '../../../daemon/methods/save-version.ts';
import { emptyPrincipal } from '../../../daemon/vault/records.ts';
import type { GrantEntry } from '../../../daemon/vault/records.ts';
import { VaultTransaction } from '../../../daemon/vault/transaction.ts';
import type { VaultWriter } from '../../../daemon/vault/transaction.ts';
import { follow, openStore } from '../../../daemon/vault/unlocked.ts';
import type { Unlocked } from '../../../daemon/vault/unlocked.ts';
import type { VaultChange } from '../../../daemon/vault/change.ts';
import type { Scope } from '../../support/scope.ts';
import { attack, storeWithPast } from './attacked-store.ts';
import { TestVault, valueOf } from './open-vault.ts';

/** Opens the store of a vault a second time, beside it. */
function opened(scope: Scope, { sodium, store, vault }: TestVault): Unlocked {
  const state = openStore(sodium, store, vault.storeId, sodium.copyKey(vault.unlocked().rootKey));
  scope.after(() => {
    state.sealing.wipe();
    sodium.release(state.rootKey);
  });
  return state;
}

/** Makes changes in one commit, and follows it. */
function commit(made: TestVault, state: Unlocked, change: (writer: VaultWriter) => void): VaultChange {
  const head = state.head ?? assert.fail();
  const transaction = new VaultTransaction(made.store, state.sealing, state.principals, head.commits);
  change(transaction);
  transaction.keep();
  return follow(state, transaction.commit(head, state.headBody));
}

const grantOf = (target: string): GrantEntry => ({ space: 'system', kind: 'name', target });

describe('openStore()', () => {
  it('reads the head, the principals and everything else that the root key opens', async (t) => {
    const made = await TestVault.create(t);
    await made.save('a', 'value', 'uid:5');
    await made.grant('gid:1', grantOf('a'));
    const [state, own] = [opened(t, made), made.vault.unlocked()];
    assert.deepEqual([state.head, state.headBody], [own.head, own.headBody]);
    assert.deepEqual([...state.principals.keys()].toSorted(), ['gid:1', 'uid:5']);
    assert.ok(state.arePrincipalsWhole);
    assert.equal(valueOf(state.reader, 'a', undefined, 'uid:5'), 'value');
  });

  for (const kind of [KIND.head, KIND.dataKey, KIND.principal]) {
    it(`reads everything again if a record of kind ${kind} was read wrongly once`, async (t) => {
      const made = await TestVault.create(t);
      await made.save('a', 'value', 'uid:5');
      const { store } = made;
      let flips = 0;
      const flipped = (body: Uint8Array): Uint8Array => {
        flips += 1;
        return flips === 1 ? Buffer.from(body).fill(0, 30, 40) : body;
      };
      t.mock.method(store, 'get', (...given: Parameters<SqliteStore['get']>) => {
        const body = SqliteStore.prototype.get.apply(store, given);
        return given[0] === kind && body !== undefined ? flipped(body) : body;
      });
      t.mock.method(store, 'list', (...given: Parameters<SqliteStore['list']>) => {
        const found = SqliteStore.prototype.list.apply(store, given);
        return given[0] === kind ? found.map((record) => ({ ...record, body: flipped(record.body) })) : found;
      });
      const state = opened(t, made);
      assert.deepEqual([state.head, state.arePrincipalsWhole], [made.vault.unlocked().head, true]);
      assert.deepEqual([...state.principals.keys()], ['uid:5']);
      assert.ok(flips > 1);
    });
  }

  it('opens a store whose head is damaged, for reading', async (t) => {
    const history = await storeWithPast(t);
    const made = await history.opened(t, attack('changes a bit of the head'));
    const state = opened(t, made);
    assert.equal(state.head, undefined);
    assert.ok(state.headBody !== undefined);
    assert.equal(valueOf(state.reader, 'small'), 'small 3');
  });

  it('refuses another root key with Damaged, and holds no other key if the store cannot be read', async (t) => {
    const made = await TestVault.create(t);
    const { sodium, store, vault } = made;
    const rootKey = sodium.copyKey(vault.unlocked().rootKey);
    const other = sodium.newKey();
    await vault.lock();
    const held = Uint8Array.from(sodium.memory[0] ?? assert.fail());
    t.mock.method(store, 'get', (kind: Kind, tag: Uint8Array) => {
      if (kind === KIND.head) throw new StoreError('io', 'by the test');
      return SqliteStore.prototype.get.call(store, kind, tag);
    });
    for (let attempt = 0; attempt < 200; attempt += 1) {
      assert.throws(() => openStore(sodium, store, vault.storeId, other), { code: 'Damaged' });
      assert.throws(() => openStore(sodium, store, vault.storeId, rootKey), StoreError);
    }
    assert.deepEqual(Uint8Array.from(sodium.memory[0] ?? assert.fail()), held);
    sodium.release(rootKey, other);
  });
});

describe('follow()', () => {
  it('makes the next commit and read see the commit, those that were cached before it included', async (t) => {
    const made = await TestVault.create(t);
    const state = opened(t, made);
    for (const value of ['first', 'second']) {
      const { credentials } = commit(made, state, (writer) => {
        const existing = writer.credential('system', 'a');
        const saved = { space: 'system', name: 'a', existing, changed: 1, changedBy: 0 } as const;
        saveVersion(writer, { ...saved, value: Buffer.from(value) });
      });
      assert.deepEqual(
        credentials.map(({ name }) => name),
        ['a'],
      );
      for (let read = 0; read < 3; read += 1) assert.equal(valueOf(state.reader, 'a'), value);
    }
    assert.equal(state.head?.commits, 3);
    assert.deepEqual(state.headBody, made.store.get(KIND.head, Buffer.from('head')));
    assert.equal(state.principals.get('system')?.generation, 2);
  });

  it('returns the grants that were given or revoked, and not those that stay', async (t) => {
    const made = await TestVault.create(t);
    const state = opened(t, made);
    const [a, b, c] = [grantOf('a'), grantOf('b'), grantOf('c')];
    const granted = (...grants: readonly GrantEntry[]): unknown =>
      commit(made, state, (writer) => writer.putPrincipal({ ...emptyPrincipal('gid:1'), grants })).grants;
    const changed = (...grants: readonly GrantEntry[]): unknown =>
      grants.map((grant) => ({ principal: 'gid:1', grant }));
    assert.deepEqual(granted(a, b), changed(a, b));
    assert.deepEqual(granted(a, c), changed(b, c));
    assert.deepEqual(granted({ ...a }, c), [], 'the same grant as another object');
    assert.deepEqual(granted(), changed(a, c));
    assert.equal(state.principals.get('gid:1'), undefined);
  });
});
