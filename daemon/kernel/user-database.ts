import { readFileSync, statSync } from 'node:fs';

const PASSWD = '/etc/passwd';
const GROUP = '/etc/group';

/** Errors for a file that does not exist, or that the daemon may not read. */
const WITHOUT_FILE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'EACCES']);

/**
 * The groups of users according to the user database, in addition to those that the kernel knows of a process: a
 * process that was started with its groups cleared still belongs to its user. Reads only the local files; membership in
 * a network directory is known through the groups of the user's processes.
 */
export class UserDatabase {
  #stamp = '';
  #gids: Map<string, number> = new Map();
  #members: Map<number, ReadonlySet<string>> = new Map();
  #usersByUid: Map<number, { readonly names: string[]; readonly gids: Set<number> }> = new Map();

  /** Returns the gid of a group; undefined if there is no group of that name. @throws Error as {@link isMember} */
  gidOf(group: string): number | undefined {
    this.#refresh();
    return this.#gids.get(group);
  }

  /**
   * Tells whether a user is a member of a group: by the group's list of members, or because it is the user's primary
   * group.
   *
   * @throws Error if a file that exists cannot be read
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
    // Without the file, nobody is a member of a group through it. A file that cannot be read just now is an error: an
    // administrator would be taken for an ordinary user, whose new credentials go into a space of their own.
    if (!WITHOUT_FILE.has((error as NodeJS.ErrnoException).code)) throw error;
    return [];
  }
}

/** Tells whether a field is a number; in a line for a network directory (`+::::`) it is not. */
function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text);
}

function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'none' : `${stat.ino}.${stat.mtimeNs}.${stat.size}`;
}
