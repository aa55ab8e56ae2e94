import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Emitter } from '../../daemon/emitter.ts';

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
