import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WatchState } from '../../../../client/cio/watch/watch-state.ts';
import type { WatchedSet } from '../../../../src/protocol/interface.generated.ts';

const NOTHING = { credentials: [], sets: [], vanished: [] };
const TOKEN = { name: 'token', owner: 0, version: 1, generation: 1 };
const AWS: WatchedSet = {
  set: 'aws',
  uuid: '2d5fe44f-333e-55a7-89b2-513f7f3c22e6',
  owner: 0,
  ready: true,
  missing: [],
  generation: 1,
  health: 'unproved',
  reloadUnits: false,
};

describe('WatchState.apply()', () => {
  it('reports what is new, changed and gone, and nothing for what is unchanged', () => {
    const state = new WatchState();
    assert.deepEqual(state.apply({ ...NOTHING, credentials: [TOKEN], sets: [AWS] }), [
      { event: 'new', kind: 'credential', item: TOKEN },
      { event: 'new', kind: 'set', item: AWS, before: undefined },
    ]);
    assert.deepEqual(state.apply({ ...NOTHING, credentials: [TOKEN], sets: [AWS] }), []);
    const proved: WatchedSet = { ...AWS, health: 'passed' };
    assert.deepEqual(state.apply({ ...NOTHING, sets: [proved] }), [
      { event: 'changed', kind: 'set', item: proved, before: AWS },
    ]);
    const vanished = [{ kind: 'credential', name: 'token', owner: 0 }] as const;
    assert.deepEqual(state.apply({ ...NOTHING, vanished }), [{ event: 'gone', ...vanished[0] }]);
    assert.deepEqual(state.apply({ ...NOTHING, vanished }), []);
  });

  it('distinguishes owners, and a set from a credential of the same name', () => {
    const state = new WatchState();
    state.apply({
      ...NOTHING,
      credentials: [TOKEN, { ...TOKEN, owner: 1000 }, { ...TOKEN, name: 'aws' }],
      sets: [AWS],
    });
    const vanished = [{ kind: 'credential', name: 'aws', owner: 0 }] as const;
    assert.equal(state.apply({ ...NOTHING, vanished }).length, 1);
    assert.deepEqual(state.apply({ ...NOTHING, sets: [AWS], credentials: [{ ...TOKEN, owner: 1000 }] }), []);
  });
});

describe('WatchState.replaceWith()', () => {
  it('reports the differences to another state, including what is gone', () => {
    const state = new WatchState();
    state.apply({ ...NOTHING, credentials: [TOKEN, { ...TOKEN, name: 'old' }], sets: [AWS] });
    const other = new WatchState();
    other.apply({ ...NOTHING, credentials: [TOKEN, { ...TOKEN, name: 'new' }] });
    assert.deepEqual(
      state.replaceWith(other).map((event) => `${event.event} ${event.event === 'gone' ? event.name : event.kind}`),
      ['new credential', 'gone old', 'gone aws'],
    );
    assert.deepEqual(state.replaceWith(other), []);
  });
});
