import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SetFollower } from '../../../../client/cio/on-change/set-follower.ts';
import type { WatchEvent } from '../../../../client/cio/watch/watch-state.ts';
import type { WatchedSet } from '../../../../src/protocol/interface.generated.ts';

const UUID = '2d5fe44f-333e-55a7-89b2-513f7f3c22e6';

function changed(generation: number, more: Partial<WatchedSet> = {}): WatchEvent[] {
  const item: WatchedSet = {
    set: 'aws',
    uuid: UUID,
    owner: 0,
    ready: true,
    missing: [],
    generation,
    health: 'unproved',
    reloadUnits: false,
    ...more,
  };
  return [{ event: 'changed', kind: 'set', item, before: undefined }];
}

describe('SetFollower.apply()', () => {
  it('returns true when a complete set has changed', () => {
    for (const name of ['aws', UUID, UUID.toUpperCase()]) {
      const follower = new SetFollower(name);
      assert.equal(follower.apply(changed(1)), true);
      assert.equal(follower.apply(changed(1, { health: 'failed' })), false);
      assert.equal(follower.apply(changed(2, { ready: false })), false);
      assert.equal(follower.isComplete, false);
      assert.equal(follower.apply(changed(3)), true);
      assert.equal(follower.apply(changed(4, { set: 'aws_alt', uuid: 'other' })), false);
      assert.equal(follower.isComplete, true);
    }
  });

  it("follows a user's own set before the shared one, as long as it exists", () => {
    const follower = new SetFollower('aws');
    follower.apply(changed(5));
    assert.equal(follower.apply(changed(1, { owner: 1000 })), true);
    assert.equal(follower.apply(changed(6)), false);
    assert.equal(follower.apply([{ event: 'gone', kind: 'set', name: 'aws', owner: 1000 }]), true);
    assert.equal(follower.apply([{ event: 'gone', kind: 'set', name: 'aws', owner: 0 }]), false);
    assert.equal(follower.isComplete, false);
  });

  it('distinguishes sets of equal generation by their UUIDs', () => {
    const follower = new SetFollower('aws');
    follower.apply(changed(5));
    assert.equal(follower.apply(changed(5, { owner: 1000, uuid: 'of the user' })), true);
    assert.equal(follower.apply([{ event: 'gone', kind: 'set', name: 'aws', owner: 1000 }]), true);
    assert.equal(follower.apply(changed(5, { uuid: 'of another store' })), true);
    assert.equal(follower.apply(changed(5, { uuid: 'of another store' })), false);
  });

  it("recognises a set by Storidge's other spelling", () => {
    assert.equal(new SetFollower('alt_aws').apply(changed(1, { set: 'aws_alt' })), true);
  });
});
