import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KEY_BYTES, KeyMemory } from '../../../daemon/vault/key-memory.ts';

const KEYS_MAX = 128;

function isWiped(memory: KeyMemory): boolean {
  return memory.block.every((byte) => byte === 0);
}

describe('KeyMemory', () => {
  it('gives each key 32 bytes of its own in one block', () => {
    const memory = new KeyMemory(KEYS_MAX);
    const [a, b] = [memory.allocate(), memory.allocate()];
    a.fill(1);
    b.fill(2);
    assert.deepEqual([a.length, b.length], [KEY_BYTES, KEY_BYTES]);
    assert.ok(a.every((byte) => byte === 1));
    for (const key of [a, b]) assert.equal(key.buffer, memory.block.buffer);
  });

  it('wipes a released key, and hands its place out again as zeros', () => {
    const memory = new KeyMemory(KEYS_MAX);
    for (let round = 0; round < 500; round += 1) {
      const keys = [memory.allocate(), memory.allocate(), memory.allocate()];
      for (const key of keys) assert.ok(key.every((byte) => byte === 0));
      for (const key of keys) key.fill(255);
      memory.release(...keys);
      assert.ok(isWiped(memory));
    }
  });

  it('never gives the same place to two keys, in whatever order keys are released', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 9 }), { maxLength: 60 }), (choices) => {
        const memory = new KeyMemory(KEYS_MAX);
        const held: Uint8Array[] = [];
        for (const choice of choices) {
          const old = held[choice];
          if (old === undefined) held.push(memory.allocate());
          // Releasing twice must not put the place on the free list twice.
          else memory.release(...held.splice(choice, 1), old, undefined);
          assert.equal(new Set(held.map((key) => key.byteOffset)).size, held.length);
        }
      }),
    );
  });

  it('wipes a key that is not its own, and does not keep it', () => {
    const memory = new KeyMemory(KEYS_MAX);
    const foreign = new Uint8Array(KEY_BYTES).fill(1);
    memory.release(foreign);
    assert.ok(foreign.every((byte) => byte === 0));
    for (let count = 0; count < KEYS_MAX; count += 1) assert.notEqual(memory.allocate(), foreign);
  });

  it('holds keys of another length if told so', () => {
    const memory = new KeyMemory(3, 100);
    const keys = [memory.allocate(), memory.allocate(), memory.allocate()];
    assert.deepEqual(
      keys.map(({ length }) => length),
      [100, 100, 100],
    );
    for (const [index, key] of keys.entries()) key.fill(index + 1);
    for (const [index, key] of keys.entries()) assert.ok(key.every((byte) => byte === index + 1));
  });

  it('throws if too many keys are held', () => {
    const memory = new KeyMemory(KEYS_MAX);
    assert.ok(memory.hasRoom);
    const keys = Array.from({ length: KEYS_MAX }, () => memory.allocate());
    assert.ok(!memory.hasRoom);
    assert.throws(() => memory.allocate(), /too many keys/);
    memory.release(keys[5]);
    memory.allocate();
  });
});
