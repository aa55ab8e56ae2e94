import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Picture } from '../../../../client/cio/watch/picture.ts';
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

describe('Picture.apply()', () => {
  it('reports what is new, changed and gone, and nothing for what is unchanged', () => {
    const picture = new Picture();
    assert.deepEqual(picture.apply({ ...NOTHING, credentials: [TOKEN], sets: [AWS] }), [
      { event: 'new', kind: 'credential', item: TOKEN },
      { event: 'new', kind: 'set', item: AWS, before: undefined },
    ]);
    assert.deepEqual(picture.apply({ ...NOTHING, credentials: [TOKEN], sets: [AWS] }), []);
    const proved: WatchedSet = { ...AWS, health: 'passed' };
    assert.deepEqual(picture.apply({ ...NOTHING, sets: [proved] }), [
      { event: 'changed', kind: 'set', item: proved, before: AWS },
    ]);
    const vanished = [{ kind: 'credential', name: 'token', owner: 0 }] as const;
    assert.deepEqual(picture.apply({ ...NOTHING, vanished }), [{ event: 'gone', ...vanished[0] }]);
    assert.deepEqual(picture.apply({ ...NOTHING, vanished }), []);
  });

  it('distinguishes owners, and a set from a credential of the same name', () => {
    const picture = new Picture();
    picture.apply({
      ...NOTHING,
      credentials: [TOKEN, { ...TOKEN, owner: 1000 }, { ...TOKEN, name: 'aws' }],
      sets: [AWS],
    });
    const vanished = [{ kind: 'credential', name: 'aws', owner: 0 }] as const;
    assert.equal(picture.apply({ ...NOTHING, vanished }).length, 1);
    assert.deepEqual(picture.apply({ ...NOTHING, sets: [AWS], credentials: [{ ...TOKEN, owner: 1000 }] }), []);
  });
});

describe('Picture.replaceWith()', () => {
  it('reports the differences to another picture, including what is gone', () => {
    const picture = new Picture();
    picture.apply({ ...NOTHING, credentials: [TOKEN, { ...TOKEN, name: 'old' }], sets: [AWS] });
    const other = new Picture();
    other.apply({ ...NOTHING, credentials: [TOKEN, { ...TOKEN, name: 'new' }] });
    assert.deepEqual(
      picture.replaceWith(other).map((event) => `${event.event} ${event.event === 'gone' ? event.name : event.kind}`),
      ['new credential', 'gone old', 'gone aws'],
    );
    assert.deepEqual(picture.replaceWith(other), []);
  });
});
