import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explain } from './linearizability.ts';
import type { Happening } from './linearizability.ts';

/** An event of a register: one number, written and read. */
type Register = Happening<{ readonly value: number }>;

function write(value: number, asked: number, answered: number, after?: Register): Register {
  return { asked, answered, after, text: `write ${value}`, apply: () => ({ value }) };
}

function read(value: number, asked: number, answered: number, after?: Register): Register {
  const apply: Register['apply'] = (state) => (state.value === value ? state : undefined);
  return { asked, answered, after, text: `read ${value}`, apply };
}

const START = [{ value: 0 }];

function statesOf(...history: Register[]): number[] {
  const found = explain(history, START);
  assert.ok('states' in found && found.states !== undefined, JSON.stringify(found));
  return found.states.map(({ value }) => value).toSorted((a, b) => a - b);
}

function unexplainedOf(...history: Register[]): string {
  const found = explain(history, START);
  assert.ok('unexplained' in found, 'there is an order that explains it');
  return found.unexplained.text;
}

describe('explain()', () => {
  it('orders concurrent events in any way, and keeps every possible state', () => {
    assert.deepEqual(statesOf(write(1, 1, 4), write(2, 2, 3)), [1, 2]);
    assert.deepEqual(statesOf(write(1, 1, 8), write(2, 2, 7), read(2, 3, 4), read(1, 5, 6)), [1]);
    assert.deepEqual(statesOf(read(1, 1, 4), write(1, 2, 5), read(0, 3, 6)), [1]);
  });

  it('finds stale, early and out-of-order replies', () => {
    assert.equal(unexplainedOf(write(1, 1, 2), read(0, 3, 4)), 'read 0', 'stale');
    assert.equal(unexplainedOf(read(1, 1, 2), write(1, 3, 4)), 'read 1', 'told before it was asked for');
    assert.equal(unexplainedOf(write(1, 1, 8), read(1, 2, 3), read(0, 4, 5)), 'read 0', 'there and gone again');
    const mixed = [write(1, 1, 10), write(2, 2, 11), read(1, 3, 4), read(2, 5, 6), read(1, 7, 8)];
    assert.equal(unexplainedOf(...mixed), 'read 1', 'back again');
  });

  it('lets an event without a reply happen at any time or never', () => {
    assert.deepEqual(statesOf(write(1, 1, Infinity)), [0, 1]);
    assert.deepEqual(statesOf(write(1, 1, Infinity), read(0, 2, 3), write(2, 4, 5), read(1, 6, 7)), [1]);
    assert.equal(unexplainedOf(write(1, 1, Infinity), write(2, 2, 3), read(1, 4, 5), read(2, 6, 7)), 'read 2');
  });

  it('keeps the order of a connection', () => {
    const first = write(1, 1, 5);
    assert.equal(unexplainedOf(first, read(0, 2, 6, first)), 'read 0');
    assert.deepEqual(statesOf(first, read(1, 2, 6, first)), [1]);
    const lost = write(1, 1, Infinity);
    assert.deepEqual(statesOf(lost, write(2, 2, Infinity, lost)), [0, 1, 2]);
    assert.equal(unexplainedOf(lost, write(2, 2, Infinity, lost), read(2, 3, 4), read(1, 5, 6)), 'read 1');
  });

  it('continues from every given state', () => {
    const found = explain([read(2, 1, 2)], [{ value: 1 }, { value: 2 }]);
    assert.deepEqual(found, { states: [{ value: 2 }] });
  });

  it('copes with many concurrent reads before the first is answered', () => {
    const readers = Array.from({ length: 300 }, (_, index) => read(index % 3, index, 1000 + index));
    const writers = [1, 2, 1, 0].map((value, index) => write(value, 400 + index, 900 + index));
    assert.ok(statesOf(...readers, ...writers).length > 0);
  });

  it('gives up if there are too many possibilities', () => {
    const lost = [1, 2, 3, 4, 5].map((value) => write(value, value, Infinity));
    assert.deepEqual(explain(lost, START, 10), { states: undefined });
    assert.deepEqual(explain([...lost, write(6, 6, 7)], START, 10), { states: undefined });
  });
});
