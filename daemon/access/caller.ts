import type { Peer } from '../kernel/peer.ts';
import type { UserDatabase } from '../kernel/user-database.ts';
import { templateOf } from '../kernel/unit.ts';
import type { PrincipalId, Space } from '../vault/records.ts';

/** Members of this group may do everything. */
export const ADMINISTRATORS_GROUP = 'cio';

/** Somebody who calls, by what the kernel says of him. */
export interface Caller {
  readonly uid: number;
  readonly isAdministrator: boolean;
  /** Root, or the user that the daemon runs as: what the daemon does to a file for him, he could do himself. */
  readonly isDaemonsUser: boolean;
  /** Where his own credentials are. */
  readonly space: Space;
  /** Everything that something can have been granted to and that he is. Looks up his unit when it is first asked for. */
  principals(): readonly PrincipalId[];
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
    space: isAdministrator ? 'system' : `uid:${uid}`,
    principals: () => (principals ??= principalsOf(peer)),
  };
}

function isMember(peer: Peer, users: UserDatabase): boolean {
  const administrators = users.gidOf(ADMINISTRATORS_GROUP);
  if (administrators === undefined) return false;
  const groups = [peer.gid, ...peer.groups];
  return groups.includes(administrators) || users.isMember(peer.uid, administrators);
}

function principalsOf(peer: Peer): readonly PrincipalId[] {
  const unit = peer.unit();
  const units = unit === undefined ? [] : [unit, templateOf(unit) ?? unit];
  const principals = new Set<PrincipalId>([
    `uid:${peer.uid}`,
    ...[peer.gid, ...peer.groups].map((gid) => `gid:${gid}` as const),
    ...units.map((name) => `unit:${name}` as const),
  ]);
  return [...principals];
}
