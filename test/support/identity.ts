/** A user to run as, with exactly these groups and none of the test process's own. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups?: readonly number[];
}

/** Returns a command that switches to this user and then executes the given one. */
export function asIdentity(identity: Identity, command: readonly string[]): string[] {
  const { uid, gid, groups = [] } = identity;
  const list = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, list, '--', ...command];
}

/**
 * Runs a synchronous action as this user, in this process. The kernel records a peer's credentials at connect(2).
 *
 * @throws Error (EPERM) unless this process runs as root
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
