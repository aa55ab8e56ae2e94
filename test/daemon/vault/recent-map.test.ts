import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RecentMap } from '../../../daemon/vault/recent-map.ts';

const GENERATION = 4;

/** A call, by its name, on one of some more keys than are kept. */
const calls = fc.array(fc.tuple(fc.constantFrom('set', 'get', 'delete'), fc.integer({ min: 0, max: 12 })), {
  maxLength: 200,
});

describe('RecentMap', () => {
  it('has what was used last, never an old value, and is bounded', () => {
    fc.assert(
      fc.property(calls, (made) => {
        const map = new RecentMap<{ readonly at: number }>(GENERATION);
        const truth = new Map<string, { readonly at: number }>();
        const used: string[] = [];
        for (const [at, [call, number]] of made.entries()) {
          const key = `k${number}`;
          const value = { at };
          if (call === 'set') {
            map.set(key, value);
            truth.set(key, value);
          } else if (call === 'delete') {
            map.delete(key);
            truth.delete(key);
          }
          const recent = [...new Set([key, ...used.toReversed()])].slice(0, GENERATION);
          if (call === 'get' && recent.includes(key) && used.includes(key)) assert.equal(map.get(key), truth.get(key));
          else if (call === 'get') assert.ok([undefined, truth.get(key)].includes(map.get(key)));
          if (truth.has(key)) used.push(key);
          assert.ok(map.size <= 2 * GENERATION);
        }
        for (const [key, value] of truth) assert.ok([undefined, value].includes(map.get(key)));
      }),
    );
  });

  it('keeps an entry that is used again and again, however many others come', () => {
    const map = new RecentMap<string>(GENERATION);
    map.set('kept', 'value');
    for (let index = 0; index < 100; index += 1) {
      map.set(`other ${index}`, 'value');
      assert.equal(map.get('kept'), 'value');
    }
    assert.equal(map.get('other 0'), undefined);
  });
});
