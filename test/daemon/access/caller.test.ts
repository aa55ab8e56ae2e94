import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { callerOf } from '../../../daemon/access/caller.ts';
import type { Caller } from '../../../daemon/access/caller.ts';
import { UserDatabase } from '../../../daemon/kernel/user-database.ts';

const OWN_UID = 2000;
const users = new UserDatabase();

function caller(
  uid: number,
  groups: readonly number[] = [],
  unit: () => string | undefined = () => undefined,
  database: UserDatabase = users,
): Caller {
  return callerOf({ pid: 1, uid, gid: uid, groups, unit, userUnit: () => undefined }, database, OWN_UID);
}

describe('callerOf()', () => {
  for (const [who, uid, isAdministrator, space] of [
    ['root', 0, true, 'system'],
    ['the daemon’s own user', OWN_UID, true, 'system'],
    ['anybody else', 3001, false, 'uid:3001'],
    ['the user with the largest uid', 2 ** 32 - 2, false, 'uid:4294967294'],
  ] as const) {
    it(`treats ${who} as ${isAdministrator ? 'an administrator' : 'a user with a space of their own'}`, () => {
      const { uid: own, isAdministrator: is, space: of } = caller(uid);
      assert.deepEqual([own, is, of], [uid, isAdministrator, space]);
    });
  }

  it('does not treat the group of root, or a gid equal to the daemon’s uid, as administrators', () => {
    assert.equal(caller(3001, [0, OWN_UID]).isAdministrator, false);
  });
});

describe('callerOf() with a group of administrators', () => {
  const CIO = 27;
  const MEMBER = 3005;

  /** A host with such a group, which the host of the test need not have. */
  class WithAdministrators extends UserDatabase {
    override gidOf(group: string): number | undefined {
      return group === 'cio' ? CIO : super.gidOf(group);
    }

    override isMember(uid: number, gid: number): boolean {
      return uid === MEMBER && gid === CIO;
    }
  }

  const here = new WithAdministrators();
  for (const [who, uid, groups, isAdministrator] of [
    ['a process with the group', 3001, [7, CIO], true],
    ['a process with it as its primary group', CIO, [], true],
    ['a member whose process lacks the group', MEMBER, [], true],
    ['a process without the group', 3001, [7, 28], false],
  ] as const) {
    it(`treats ${who} as ${isAdministrator ? 'an administrator, but not as the daemon’s own user' : 'no administrator'}`, () => {
      const made = caller(uid, groups, undefined, here);
      assert.deepEqual(
        [made.isAdministrator, made.isDaemonsUser, made.space],
        [isAdministrator, false, isAdministrator ? 'system' : `uid:${uid}`],
      );
    });
  }

  it('treats nobody else as an administrator if there is no such group', (t) => {
    t.mock.method(here, 'gidOf', () => undefined);
    assert.equal(caller(MEMBER, [CIO], undefined, here).isAdministrator, false);
  });

  it('treats root and the daemon’s uid as the daemon’s own user', () => {
    assert.deepEqual(
      [0, OWN_UID, 3001].map((uid) => caller(uid).isDaemonsUser),
      [true, true, false],
    );
  });
});

describe('Caller.principals()', () => {
  it('names the user, their groups, and the unit they are in', () => {
    assert.deepEqual(
      caller(3001, [7, 8], () => 'restic.service')
        .principals()
        .toSorted(),
      ['gid:3001', 'gid:7', 'gid:8', 'uid:3001', 'unit:restic.service'].toSorted(),
    );
  });

  it('also names the template of an instance', () => {
    const principals = caller(3001, [], () => 'restic@home.service').principals();
    assert.deepEqual(
      principals.filter((id) => id.startsWith('unit:')),
      ['unit:restic@home.service', 'unit:restic@.service'],
    );
  });

  it('names each principal once, so that no grant is listed twice', () => {
    const principals = caller(3001, [3001, 7, 7], () => 'restic.service').principals();
    assert.equal(new Set(principals).size, principals.length);
  });

  it('names no primary group if the kernel reports none', () => {
    const peer = { pid: 1, uid: 3001, gid: undefined, groups: [7], unit: () => undefined, userUnit: () => undefined };
    assert.deepEqual(callerOf(peer, users, OWN_UID).principals(), ['uid:3001', 'gid:7']);
  });

  it('looks up the unit only when it is called, and once', () => {
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
