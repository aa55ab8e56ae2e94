import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { SealedReader, SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { epochTag, openDataKey, unwrapDataKey, wrapDataKey } from '../../../daemon/vault/data-key.ts';
import { Sodium } from '../../../daemon/vault/sodium.ts';

const STORE_ID = randomBytes(16);
const ROOT_KEY = randomBytes(32);

let sodium: Sodium;
before(async () => {
  sodium = await Sodium.load();
});

describe('wrapDataKey()', () => {
  it('is undone by unwrapDataKey(), for every epoch', () => {
    for (const epoch of [1, 2, 255, 256, 2 ** 32 - 1]) {
      const { kind, tag, body } = wrapDataKey(sodium, STORE_ID, ROOT_KEY, epoch, randomBytes(32));
      assert.deepEqual([kind, tag], [KIND.dataKey, epochTag(epoch)]);
      const sealing = unwrapDataKey(sodium, STORE_ID, ROOT_KEY, tag, body);
      assert.equal(sealing?.epoch, epoch);
      assert.equal(sealing.storeId, STORE_ID);
      sealing.wipe();
    }
  });

  it('wraps the very key that unwrapDataKey() returns', () => {
    const dataKey = randomBytes(32);
    const { tag, body } = wrapDataKey(sodium, STORE_ID, ROOT_KEY, 1, dataKey);
    const again = wrapDataKey(sodium, STORE_ID, ROOT_KEY, 1, dataKey);
    const [a, b] = [body, again.body].map((wrapped) => unwrapDataKey(sodium, STORE_ID, ROOT_KEY, tag, wrapped));
    const place = [KIND.value, randomBytes(16)] as const;
    assert.equal(
      Buffer.from(b?.open(...place, a?.seal(...place, Buffer.from('text')) ?? body) ?? []).toString(),
      'text',
    );
    a?.wipe();
    b?.wipe();
    assert.notDeepEqual(body, again.body);
  });
});

describe('unwrapDataKey()', () => {
  it('refuses another root key, store, epoch or body, and keeps none of their keys in memory', () => {
    const { tag, body } = wrapDataKey(sodium, STORE_ID, ROOT_KEY, 2, randomBytes(32));
    const changed = Uint8Array.from(body);
    changed[30] = (changed[30] ?? 0) ^ 1;
    assert.equal(unwrapDataKey(sodium, STORE_ID, randomBytes(32), tag, body), undefined);
    assert.equal(unwrapDataKey(sodium, randomBytes(16), ROOT_KEY, tag, body), undefined);
    assert.equal(unwrapDataKey(sodium, STORE_ID, ROOT_KEY, epochTag(3), body), undefined);
    assert.equal(unwrapDataKey(sodium, STORE_ID, ROOT_KEY, tag, changed), undefined);
    for (const odd of [new Uint8Array(), Buffer.of(2), Buffer.from([0, 0, 0, 2, 0])]) {
      assert.equal(unwrapDataKey(sodium, STORE_ID, ROOT_KEY, odd, body), undefined);
      assert.equal(unwrapDataKey(sodium, STORE_ID, ROOT_KEY, tag, odd), undefined);
    }
    assert.ok(sodium.memory[0]?.every((byte) => byte === 0));
  });
});

describe('openDataKey()', () => {
  /** A store that holds these data keys, in the order of their tags. */
  function storeOf(...records: readonly SealedRecord[]): SealedReader {
    return { get: () => undefined, list: (kind) => records.filter((record) => record.kind === kind) };
  }

  it('returns the newest of several, as an attacker may have put an older one back', () => {
    const keys = [1, 2, 300].map((epoch) => wrapDataKey(sodium, STORE_ID, ROOT_KEY, epoch, randomBytes(32)));
    const sealing = openDataKey(sodium, storeOf(...keys), STORE_ID, ROOT_KEY);
    assert.equal(sealing?.epoch, 300);
    sealing.wipe();
  });

  it('skips data keys that the root key did not wrap, and returns undefined if it wrapped none', () => {
    const own = wrapDataKey(sodium, STORE_ID, ROOT_KEY, 1, randomBytes(32));
    const other = wrapDataKey(sodium, STORE_ID, randomBytes(32), 2, randomBytes(32));
    const sealing = openDataKey(sodium, storeOf(own, other), STORE_ID, ROOT_KEY);
    assert.equal(sealing?.epoch, 1);
    sealing.wipe();
    assert.equal(openDataKey(sodium, storeOf(other), STORE_ID, ROOT_KEY), undefined);
    assert.ok(sodium.memory[0]?.every((byte) => byte === 0));
  });
});

describe('epochTag()', () => {
  it('sorts as the epochs do', () => {
    const tags = [1, 2, 255, 256, 65_536, 2 ** 32 - 1].map((epoch) => Buffer.from(epochTag(epoch)).toString('hex'));
    assert.deepEqual(tags, tags.toSorted());
    assert.equal(tags[3], '00000100');
  });
});
