import { readFileSync } from 'node:fs';
import { usageError } from './command-error.ts';

/** The largest uid or gid; the next one up stands for "none" in the kernel's calls. */
const ID_MAX = 0xffff_fffe;

/** A directory of users may be on another host. */
const GETENT_TIME_MAX_MS = 10_000;

/** The uid that a user name or a number stands for. */
export function resolveUser(text: string): number {
  return resolve(text, 'passwd', 'user');
}

/** The gid that a group name or a number stands for. */
export function resolveGroup(text: string): number {
  return resolve(text, 'group', 'group');
}

/** The uid of an `--owner`; null, which is as if it was not given, without one. */
export function resolveOwner(text: string | undefined): number | null {
  return text === undefined ? null : resolveUser(text);
}

/** The system's own way to a name, which knows every source of users that the host has. */
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

/** Names of the local users by uid, to show instead of numbers; only ever for the eye. */
export function localUsers(): ReadonlyMap<number, string> {
  return readNames('/etc/passwd');
}

/** What an owner is called: credentials of 0 are those that administrators share. */
export function nameOwners(): (uid: number) => string {
  const users = localUsers();
  return (uid) => (uid === 0 ? 'shared' : (users.get(uid) ?? `${uid}`));
}

/** Names of the local groups by gid, to show instead of numbers; only ever for the eye. */
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
