import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Emitter, Latch } from '../../daemon/emitter.ts';

describe('Emitter', () => {
  it('calls its callbacks, except those that were removed', () => {
    const emitter = new Emitter();
    const called: string[] = [];
    emitter.subscribe(() => called.push('first'));
    const unsubscribe = emitter.subscribe(() => called.push('second'));
    emitter.subscribe(() => called.push('third'));
    unsubscribe();
    unsubscribe();
    assert.deepEqual(called, []);
    emitter.fire();
    assert.deepEqual(called, ['first', 'third']);
  });
});

describe('Latch', () => {
  it('remembers that the event has happened', () => {
    const emitter = new Emitter();
    using latch = new Latch(emitter.subscribe);
    assert.equal(latch.isSet, false);
    emitter.fire();
    assert.equal(latch.isSet, true);
  });

  it('no longer listens when it is disposed of', () => {
    const emitter = new Emitter();
    const latch = new Latch(emitter.subscribe);
    latch[Symbol.dispose]();
    emitter.fire();
    assert.equal(latch.isSet, false);
  });
});
