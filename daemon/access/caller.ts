import { templateOf } from '../../src/units.ts';
import type { Peer } from '../kernel/peer.ts';
import type { UserDatabase } from '../kernel/user-database.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { PrincipalId, Space } from '../vault/records.ts';

/** Members of this group are administrators. */
const ADMINISTRATORS_GROUP = 'cio';

/** Anybody who reads credentials: a caller, or a unit that systemd starts. */
export interface Subject {
  readonly isAdministrator: boolean;
  /** The space of the subject's own credentials; a unit has none. */
  readonly space: Space | undefined;
  /**
   * The principals that the subject is, to each of which something may have been granted. The first call looks up the
   * unit.
   */
  principals(): readonly PrincipalId[];
}

/** The peer of a connection, as the kernel identifies it. */
export interface Caller extends Subject {
  readonly uid: number;
  /** Root, or the user that the daemon runs as: this caller could do to a file what the daemon does to it for them. */
  readonly isDaemonsUser: boolean;
  readonly space: Space;
}

/**
 * Makes a caller of the peer of a connection. Root, the daemon's own user and the members of the group `cio` are
 * administrators and share one space; every other user has a space of their own.
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

/** Returns the subject for a unit that systemd starts. It may read what was granted to it, and nothing else. */
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

/** Returns the principals of a unit: the unit itself, and the template that it is an instance of. */
function principalsOfUnit(unit: string): PrincipalId[] {
  return [...new Set([unit, templateOf(unit) ?? unit])].map((name) => `unit:${name}` as const);
}
