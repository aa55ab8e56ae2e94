import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RecentMap } from '../../../daemon/vault/recent-map.ts';

const GENERATION = 4;

/** Calls by name, each with one of slightly more keys than are kept. */
const calls = fc.array(fc.tuple(fc.constantFrom('set', 'get', 'delete'), fc.integer({ min: 0, max: 12 })), {
  maxLength: 200,
  size: 'max',
});

describe('RecentMap', () => {
  it('has the most recently used entries, never an old value, and is bounded', () => {
    let forgotten = 0;
    fc.assert(
      fc.property(calls, (made) => {
        const map = new RecentMap<{ readonly at: number }>(GENERATION);
        const truth = new Map<string, { readonly at: number }>();
        /** The used keys, deleted ones included, the most recent one at the end. */
        let used: string[] = [];
        for (const [at, [call, number]] of made.entries()) {
          const key = `k${number}`;
          const isRecent = used.slice(-GENERATION).includes(key);
          const others = used.filter((other) => other !== key);
          if (call === 'set') {
            const value = { at };
            map.set(key, value);
            truth.set(key, value);
            used = [...others, key];
          } else if (call === 'delete') {
            map.delete(key);
            truth.delete(key);
          } else {
            const value = map.get(key);
            if (isRecent || value !== undefined) assert.equal(value, truth.get(key));
            if (value === undefined && truth.has(key)) forgotten += 1;
            if (value !== undefined) used = [...others, key];
          }
          assert.ok(map.size <= 2 * GENERATION);
        }
      }),
    );
    assert.ok(forgotten > 0);
  });

  it('keeps an entry that is used repeatedly, however many others come', () => {
    const map = new RecentMap<string>(GENERATION);
    map.set('kept', 'value');
    for (let index = 0; index < 100; index += 1) {
      map.set(`other ${index}`, 'value');
      assert.equal(map.get('kept'), 'value');
    }
    assert.equal(map.get('other 0'), undefined);
  });
});
