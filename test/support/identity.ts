/** A user to be: with exactly these groups, and no other of the test process's own. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups?: readonly number[];
}

/** The command that becomes this user and is then replaced by the given one. */
export function asIdentity(identity: Identity, command: readonly string[]): string[] {
  const { uid, gid, groups = [] } = identity;
  const list = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, list, '--', ...command];
}

/**
 * Runs a synchronous action as this user, in this process: the kernel notes who connects at the moment of connect(2).
 *
 * @throws Error (EPERM) unless this process is root's
 */
export function withIdentity<Result>({ uid, gid, groups = [] }: Identity, action: () => Result): Result {
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, groups: process.getgroups?.() ?? [] };
  process.setgroups?.([...groups]);
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return action();
  } finally {
    process.seteuid?.(own.uid);
    process.setegid?.(own.gid);
    process.setgroups?.(own.groups);
  }
}
