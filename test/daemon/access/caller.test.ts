import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { callerOf } from '../../../daemon/access/caller.ts';
import type { Caller } from '../../../daemon/access/caller.ts';
import { UserDatabase } from '../../../daemon/kernel/user-database.ts';

const OWN_UID = 2000;
const users = new UserDatabase();

function caller(uid: number, groups: readonly number[] = [], unit: () => string | undefined = () => undefined): Caller {
  return callerOf({ pid: 1, uid, gid: uid, groups, unit, userUnit: () => undefined }, users, OWN_UID);
}

describe('callerOf()', () => {
  for (const [who, uid, isAdministrator, space] of [
    ['root', 0, true, 'system'],
    ['the daemon’s own user', OWN_UID, true, 'system'],
    ['anybody else', 3001, false, 'uid:3001'],
    ['the user with the largest uid', 2 ** 32 - 2, false, 'uid:4294967294'],
  ] as const) {
    it(`makes of ${who} ${isAdministrator ? 'an administrator' : 'a user with a space of his own'}`, () => {
      const { uid: own, isAdministrator: is, space: of } = caller(uid);
      assert.deepEqual([own, is, of], [uid, isAdministrator, space]);
    });
  }

  it('makes no administrator of the group of root, or of a group with the number of the daemon’s user', () => {
    assert.equal(caller(3001, [0, OWN_UID]).isAdministrator, false);
  });
});

describe('Caller.principals()', () => {
  it('names the user, his groups, and the unit he is in', () => {
    assert.deepEqual(
      caller(3001, [7, 8], () => 'restic.service')
        .principals()
        .toSorted(),
      ['gid:3001', 'gid:7', 'gid:8', 'uid:3001', 'unit:restic.service'].toSorted(),
    );
  });

  it('names of an instance its template too', () => {
    const principals = caller(3001, [], () => 'restic@home.service').principals();
    assert.deepEqual(
      principals.filter((id) => id.startsWith('unit:')),
      ['unit:restic@home.service', 'unit:restic@.service'],
    );
  });

  it('names each once, so that nothing granted is listed twice', () => {
    const principals = caller(3001, [3001, 7, 7], () => 'restic.service').principals();
    assert.equal(new Set(principals).size, principals.length);
  });

  it('asks for the unit when it is asked, and once', () => {
    let asked = 0;
    const one = caller(3001, [], () => {
      asked += 1;
      return undefined;
    });
    assert.equal(asked, 0);
    for (let round = 0; round < 2; round += 1)
      assert.deepEqual([...new Set(one.principals())], ['uid:3001', 'gid:3001']);
    assert.equal(asked, 1);
  });
});
