import { templateOf } from '../../src/units.ts';
import type { Peer } from '../kernel/peer.ts';
import type { UserDatabase } from '../kernel/user-database.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { PrincipalId, Space } from '../vault/records.ts';

/** Members of this group may do everything. */
const ADMINISTRATORS_GROUP = 'cio';

/** Somebody who reads: a caller, or a unit that systemd starts. */
export interface Subject {
  readonly isAdministrator: boolean;
  /** Where his own credentials are; a unit has none. */
  readonly space: Space | undefined;
  /** Everything that something can have been granted to and that he is. Looks up his unit when it is first asked for. */
  principals(): readonly PrincipalId[];
}

/** Somebody who calls, by what the kernel says of him. */
export interface Caller extends Subject {
  readonly uid: number;
  /** Root, or the user that the daemon runs as: what the daemon does to a file for him, he could do himself. */
  readonly isDaemonsUser: boolean;
  readonly space: Space;
}

/**
 * Who the peer of a connection is to this daemon: root, the daemon's own user and the members of the group `cio` are
 * administrators and share one space; everybody else has one of his own.
 */
export function callerOf(peer: Peer, users: UserDatabase, ownUid: number): Caller {
  const { uid } = peer;
  const isDaemonsUser = uid === 0 || uid === ownUid;
  const isAdministrator = isDaemonsUser || isMember(peer, users);
  let principals: readonly PrincipalId[] | undefined;
  return {
    uid,
    isAdministrator,
    isDaemonsUser,
    space: isAdministrator ? SHARED_SPACE : `uid:${uid}`,
    principals: () => (principals ??= principalsOf(peer)),
  };
}

/** A unit that systemd starts and asks for. It has what was granted to it, and nothing else. */
export function subjectOfUnit(unit: string): Subject {
  return { isAdministrator: false, space: undefined, principals: () => principalsOfUnit(unit) };
}

function isMember(peer: Peer, users: UserDatabase): boolean {
  const administrators = users.gidOf(ADMINISTRATORS_GROUP);
  if (administrators === undefined) return false;
  return groupsOf(peer).includes(administrators) || users.isMember(peer.uid, administrators);
}

function principalsOf(peer: Peer): readonly PrincipalId[] {
  const unit = peer.unit();
  const principals = new Set<PrincipalId>([
    `uid:${peer.uid}`,
    ...groupsOf(peer).map((gid) => `gid:${gid}` as const),
    ...(unit === undefined ? [] : principalsOfUnit(unit)),
  ]);
  return [...principals];
}

function groupsOf({ gid, groups }: Peer): readonly number[] {
  return gid === undefined ? groups : [gid, ...groups];
}

/** The unit, and the template that it is an instance of. */
function principalsOfUnit(unit: string): PrincipalId[] {
  return [...new Set([unit, templateOf(unit) ?? unit])].map((name) => `unit:${name}` as const);
}
