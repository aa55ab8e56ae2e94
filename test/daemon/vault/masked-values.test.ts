import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MaskedValues } from '../../../daemon/vault/masked-values.ts';
import { skipUnless, tracingOfOthers } from '../../support/requirements.ts';
import { countIn, memoryOf } from '../../torture/secrets/memory.ts';

const MODULE = path.join(import.meta.dirname, '..', '..', '..', 'daemon', 'vault', 'masked-values.ts');

const VALUES_MAX = 111;
const VALUE_BYTES_MAX = 256;

function copyOf(value: Uint8Array): Buffer {
  return Buffer.from(value);
}

function isWiped(values: MaskedValues): boolean {
  return values.memory.every((block) => block.every((byte) => byte === 0));
}

describe('MaskedValues', () => {
  it('returns the value last kept under a key, as often as it is asked for', () => {
    const values = new MaskedValues();
    const of = {};
    for (const value of [randomBytes(40), randomBytes(1), randomBytes(VALUE_BYTES_MAX), Buffer.alloc(0)]) {
      values.keep('a', of, 1, value);
      for (let count = 0; count < 3; count += 1) assert.deepEqual(values.openFor('a', of, 1, copyOf), value);
    }
  });

  it('returns nothing for another key, object or version', () => {
    const values = new MaskedValues();
    const of = {};
    values.keep('a', of, 1, Buffer.from('value'));
    assert.equal(values.openFor('b', of, 1, copyOf), undefined);
    assert.equal(values.openFor('a', {}, 1, copyOf), undefined);
    assert.equal(values.openFor('a', of, 2, copyOf), undefined);
  });

  it("leaves the caller's value unchanged", () => {
    const values = new MaskedValues();
    const value = Buffer.from('value');
    values.keep('a', {}, 1, value);
    assert.equal(value.toString(), 'value');
  });

  it('does not keep a value above the size limit', () => {
    const values = new MaskedValues();
    const of = {};
    values.keep('a', of, 1, randomBytes(VALUE_BYTES_MAX + 1));
    assert.equal(values.openFor('a', of, 1, copyOf), undefined);
    assert.ok(isWiped(values));
  });

  it('wipes the unmasked value after its use, even if that throws', () => {
    const values = new MaskedValues();
    const of = {};
    values.keep('a', of, 1, Buffer.from('value'));
    const seen: Uint8Array[] = [];
    const look = (value: Uint8Array): Uint8Array => {
      assert.equal(Buffer.from(value).toString(), 'value');
      seen.push(value);
      return value;
    };
    values.openFor('a', of, 1, look);
    assert.throws(
      () =>
        values.openFor('a', of, 1, (value) => {
          look(value);
          throw new Error('it fails');
        }),
      /it fails/,
    );
    for (const value of seen) assert.ok(value.every((byte) => byte === 0));
  });

  it('holds a value in no memory block between two calls, and no pad once the value is forgotten', () => {
    const values = new MaskedValues();
    const value = randomBytes(VALUE_BYTES_MAX);
    values.keep('a', {}, 1, value);
    const isPad = (block: Uint8Array): boolean => block.some((byte) => byte !== 0);
    assert.ok(values.memory.some(isPad));
    for (const block of values.memory) assert.ok(!Buffer.from(block).includes(value.subarray(0, 8)));
    values.forget('b');
    assert.ok(values.memory.some(isPad));
    values.forget('a');
    assert.ok(isWiped(values));
  });

  it('masks the same value differently each time', () => {
    const values = new MaskedValues();
    const pads = Array.from({ length: 50 }, (_, index) => {
      values.keep(`a${index}`, {}, 1, Buffer.alloc(16, 7));
      return index;
    });
    const [block = new Uint8Array()] = values.memory;
    const blocks = new Set(
      Array.from({ length: VALUES_MAX }, (_, index) =>
        Buffer.from(block.subarray(index * VALUE_BYTES_MAX, index * VALUE_BYTES_MAX + 16)).toString('hex'),
      ),
    );
    // All pads, and the zeros of the free places.
    assert.equal(blocks.size, pads.length + 1);
  });

  it('uses no pad twice, even in the same place', () => {
    const values = new MaskedValues();
    const zeros = Buffer.alloc(VALUE_BYTES_MAX);
    const pads = new Set<string>();
    for (let round = 0; round < 50; round += 1) {
      values.keep('a', {}, 1, zeros);
      for (const block of values.memory) pads.add(Buffer.from(block).toString('hex'));
      if (round % 2 === 0) values.forget('a');
    }
    assert.equal(pads.size, 50);
  });

  it(
    'leaves a value in clear nowhere in the memory of the process after it was kept and opened',
    { skip: skipUnless(tracingOfOthers) },
    async (t) => {
      for (const bytes of [40, VALUE_BYTES_MAX]) {
        const value = randomBytes(bytes);
        const script = `
        const { readSync } = await import('node:fs');
        const { MaskedValues } = await import(process.argv[1]);
        const value = new Uint8Array(new ArrayBuffer(${bytes}));
        for (let read = 0; read < value.length; ) read += readSync(0, value, read, value.length - read, null);
        const say = async (word) => {
          console.log(word);
          readSync(0, new Uint8Array(1));
        };
        await say('has it');
        const values = new MaskedValues();
        const of = {};
        values.keep('a', of, 1, value);
        const isSame = () => values.openFor('a', of, 1, (opened) => ({ is: opened.every((byte, at) => byte === value[at]) })).is;
        // Often enough to be compiled.
        for (let count = 0; count < 20_000; count += 1) if (!isSame()) await say('another value');
        value.fill(0);
        await say('keeps it');
      `;
        const node = spawn(process.execPath, ['--input-type=module', '-e', script, MODULE], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        t.after(() => node.kill('SIGKILL'));
        const words = node.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
        const { pid = 0 } = node;
        /**
         * Returns how many of three pieces are in memory: the beginning, the middle and the end, in case only a part is
         * masked.
         */
        const pieces = (): number => {
          const memory = memoryOf(pid);
          const starts = [0, bytes / 2, bytes - 8];
          return starts.filter((start) => countIn(memory, value.subarray(start, start + 8)) > 0).length;
        };
        node.stdin.write(value);
        assert.equal((await words.next()).value, 'has it\n');
        assert.equal(pieces(), 3, 'it is found where it is');
        node.stdin.write('\n');
        assert.equal((await words.next()).value, 'keeps it\n');
        assert.equal(pieces(), 0);
      }
    },
  );

  it('keeps values while there is room; of later ones, one in sixteen replaces the oldest', () => {
    const values = new MaskedValues();
    const of = {};
    const text = (index: number): Buffer => Buffer.from(`value ${index}`);
    const kept = (count: number): number[] => {
      const indices = Array.from({ length: count }, (_, index) => index);
      return indices.filter((index) => {
        const value = values.openFor(`a${index}`, of, 1, copyOf);
        if (value !== undefined) assert.deepEqual(value, text(index));
        return value !== undefined;
      });
    };
    for (let index = 0; index < VALUES_MAX; index += 1) values.keep(`a${index}`, of, 1, text(index));
    assert.equal(kept(VALUES_MAX).length, VALUES_MAX);
    for (let index = VALUES_MAX; index < VALUES_MAX + 160; index += 1) values.keep(`a${index}`, of, 1, text(index));
    const last = kept(VALUES_MAX + 160);
    assert.equal(last.length, VALUES_MAX);
    assert.equal(last[0], 10);
    assert.equal(last.filter((index) => index >= VALUES_MAX).length, 10);
    values.wipe();
    assert.ok(isWiped(values));
    assert.deepEqual(kept(VALUES_MAX + 160), []);
  });

  it('keeps a value whose name is kept again, however full it is', () => {
    const values = new MaskedValues();
    const of = {};
    for (let index = 0; index < VALUES_MAX; index += 1) values.keep(`a${index}`, of, 1, Buffer.from('old'));
    for (let round = 0; round < 100; round += 1) {
      values.keep('a7', of, round, Buffer.from(`new ${round}`));
      assert.deepEqual(values.openFor('a7', of, round, copyOf), Buffer.from(`new ${round}`));
    }
  });

  it('has room for new values after it was wiped', () => {
    const values = new MaskedValues();
    const of = {};
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 2 * VALUES_MAX; index += 1) values.keep(`${index}`, of, round, Buffer.of(index));
      assert.deepEqual(values.openFor('100', of, round, copyOf), Buffer.of(100));
      values.wipe();
      values.wipe();
    }
  });

  it('behaves like a map with deletion', () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const value = fc.uint8Array({ maxLength: VALUE_BYTES_MAX });
    const step = fc.oneof(fc.tuple(fc.constant('keep'), key, value), fc.tuple(fc.constant('forget'), key));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const values = new MaskedValues();
        const of = {};
        const model = new Map<string, Uint8Array>();
        for (const [what, name, bytes] of steps) {
          if (bytes === undefined) values.forget(name);
          else values.keep(name, of, 1, bytes);
          if (bytes === undefined) model.delete(name);
          else model.set(name, bytes);
          assert.ok(what);
          for (const each of ['a', 'b', 'c']) {
            const there = model.get(each);
            assert.deepEqual(values.openFor(each, of, 1, copyOf), there && Buffer.from(there));
          }
        }
      }),
    );
  });
});
