import { readFileSync } from 'node:fs';
import { ID_MAX } from '../../src/limits.ts';
import { usageError } from './command-error.ts';

/** Limit for getent, as the user database may be on another host (LDAP). */
const GETENT_TIME_MAX_MS = 10_000;

/** Returns the uid that a user name or a number stands for. @throws CommandError `Usage` */
export function resolveUser(text: string): number {
  return resolve(text, 'passwd', 'user');
}

/** Returns the gid that a group name or a number stands for. @throws CommandError `Usage` */
export function resolveGroup(text: string): number {
  return resolve(text, 'group', 'group');
}

/** Returns the uid that `--owner` names, or null, which a call takes as no owner, if the option is not given. */
export function resolveOwner(text: string | undefined): number | null {
  return text === undefined ? null : resolveUser(text);
}

/** Resolves a name with getent, which uses every source of users that the host has (nsswitch.conf(5)). */
function resolve(text: string, database: 'passwd' | 'group', what: string): number {
  if (/^[0-9]{1,10}$/.test(text)) {
    const id = Number(text);
    if (id > ID_MAX) throw usageError(`no ${what} has a number above ${ID_MAX}`);
    return id;
  }
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { status, stdout, error } = spawnSync('getent', [database, '--', text], {
    encoding: 'utf8',
    timeout: GETENT_TIME_MAX_MS,
  });
  if (error !== undefined) throw usageError(`cannot look up the ${what}: getent did not run`, 'give its number');
  const id = Number(stdout.split(':')[2]);
  if (status !== 0 || !Number.isSafeInteger(id))
    throw usageError(`there is no such ${what}`, `getent ${database} lists them`);
  return id;
}

/** Returns the names of the local users by uid. They are for display only. */
export function localUsers(): ReadonlyMap<number, string> {
  return readNames('/etc/passwd');
}

/** Returns a function that names an owner: those of uid 0 are the shared credentials. */
export function nameOwners(): (uid: number) => string {
  const users = localUsers();
  return (uid) => (uid === 0 ? 'shared' : (users.get(uid) ?? `${uid}`));
}

/** Returns the names of the local groups by gid. They are for display only. */
export function localGroups(): ReadonlyMap<number, string> {
  return readNames('/etc/group');
}

function readNames(path: string): ReadonlyMap<number, string> {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return new Map(lines.map((line) => line.split(':')).map(([name = '', , id = '']) => [Number(id || NaN), name]));
  } catch {
    return new Map();
  }
}
