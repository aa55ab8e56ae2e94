import { readFileSync, statSync } from 'node:fs';

const PASSWD = '/etc/passwd';
const GROUP = '/etc/group';

/** It is not there, or not for the daemon to read. */
const WITHOUT_FILE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'EACCES']);

/**
 * The groups that a user is a member of by the user database, besides those that the kernel knows of a process of his:
 * a process started with its groups cleared is his all the same. Reads the local files; members by a network directory
 * are known by the groups that their session has.
 */
export class UserDatabase {
  #stamp = '';
  #gids: Map<string, number> = new Map();
  #members: Map<number, ReadonlySet<string>> = new Map();
  #usersByUid: Map<number, { readonly names: string[]; readonly gids: Set<number> }> = new Map();

  /** The number of a group; undefined where there is none of that name. @throws Error as {@link isMember} */
  gidOf(group: string): number | undefined {
    this.#refresh();
    return this.#gids.get(group);
  }

  /**
   * Tells whether a user is a member of a group, by its list of members or as his primary group.
   *
   * @throws Error where a file cannot be read that is there
   */
  isMember(uid: number, gid: number): boolean {
    this.#refresh();
    const user = this.#usersByUid.get(uid);
    if (user === undefined) return false;
    const members = this.#members.get(gid);
    return user.gids.has(gid) || user.names.some((name) => members?.has(name) === true);
  }

  #refresh(): void {
    const stamp = [PASSWD, GROUP].map(stampOf).join(' ');
    if (stamp === this.#stamp) return;
    const [users, groups] = [linesOf(PASSWD), linesOf(GROUP)];
    this.#stamp = stamp;
    this.#gids = new Map();
    this.#members = new Map();
    this.#usersByUid = new Map();
    for (const [name, , gid, members] of groups) {
      if (name === undefined || !isId(gid)) continue;
      // The first one counts, as in getgrnam(3).
      if (!this.#gids.has(name)) this.#gids.set(name, Number(gid));
      const known = this.#members.get(Number(gid)) ?? [];
      this.#members.set(
        Number(gid),
        new Set([...known, ...(members ?? '').split(',').filter((member) => member !== '')]),
      );
    }
    for (const [name, , uid, gid] of users) {
      if (name === undefined || !isId(uid) || !isId(gid)) continue;
      const user = this.#usersByUid.get(Number(uid)) ?? { names: [], gids: new Set() };
      user.names.push(name);
      user.gids.add(Number(gid));
      this.#usersByUid.set(Number(uid), user);
    }
  }
}

function linesOf(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split(':'));
  } catch (error) {
    // Without the file nobody is a member of anything by it. One that cannot be read just now says nothing: whoever is an
    // administrator by it would have his credentials put where those of nobody else are.
    if (!WITHOUT_FILE.has((error as NodeJS.ErrnoException).code)) throw error;
    return [];
  }
}

/** A line of a network directory (`+::::`) has none. */
function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text);
}

function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'none' : `${stat.ino}.${stat.mtimeNs}.${stat.size}`;
}
