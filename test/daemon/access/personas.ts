/** All kinds of callers, the credentials they own, and what each may do with them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { forAllUsers } from '../../support/checkout-for-all.ts';
import { DAEMON_SOURCE, startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { asIdentity } from '../../support/identity.ts';
import type { Identity } from '../../support/identity.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { RawClient } from './raw-client.ts';

/** A user with credentials of their own and no grants to or from others. */
export const BOB = 3002;

/** The gid of the group cio, in a user database that only the daemon sees. */
export const CIO: number = 4990;
/** A group that has a grant. */
export const BACKUP: number = 4960;
/** A name that no other unit has. */
export const UNIT: string = `cio-test-${process.pid}`;
/** The name of a template, which begins with the name of the unit. */
const TEMPLATE = `${UNIT}-each`;

export const PASSWD: string = `root:x:0:0::/:/bin/sh
clara:x:3012:3012::/:/bin/sh
dora:x:3013:${CIO}::/:/bin/sh
emil:x:3020:3020::/:/bin/sh
`;
export const GROUP: string = `root:x:0:
cio:x:${CIO}:berta,clara
backup:x:${BACKUP}:emil
`;

/**
 * Returns undefined if a process can have private mounts, with which the daemon gets its own user database, or what is
 * missing for that.
 */
export function privateMounts(): string | undefined {
  return spawnSync('unshare', ['--mount', 'true']).status === 0 ? undefined : 'the right to mount (unshare --mount)';
}

/** Returns the command of a daemon that sees these users and groups in /etc, which no other process does. */
export function withUsers(scope: Scope, directory: string, as?: Identity): string[] {
  const files = { passwd: join(directory, 'passwd'), group: join(directory, 'group') };
  writeFileSync(files.passwd, PASSWD);
  writeFileSync(files.group, GROUP);
  // The daemon must be able to read them as any user.
  for (const file of Object.values(files)) chmodSync(file, 0o644);
  const script = 'mount --bind "$0" /etc/passwd && mount --bind "$1" /etc/group && shift && exec "$@"';
  const daemon = as === undefined ? DAEMON_SOURCE : asIdentity(as, forAllUsers(scope, DAEMON_SOURCE));
  return ['unshare', '--mount', '--', '/bin/sh', '-c', script, files.passwd, files.group, ...daemon];
}

/** What a persona may do with a credential. */
export type Right = 'write' | 'read' | 'none';

export interface Persona {
  readonly who: string;
  readonly isAdministrator?: boolean;
  readonly isGranted?: boolean;
  readonly identity: Identity;
  /** The cgroup of the persona's process; without one, the test's own process connects. */
  readonly cgroup?: string;
  readonly isConnectorGone?: boolean;
}

export const user = (uid: number, gid = uid, ...groups: number[]): Identity => ({ uid, gid, groups });

export const PERSONAS: readonly Persona[] = [
  { who: 'root', isAdministrator: true, identity: user(0) },
  { who: 'a member of cio by the groups of his process', isAdministrator: true, identity: user(3010, 3010, 7, CIO) },
  { who: 'a member of cio by the group of his process', isAdministrator: true, identity: user(3011, CIO) },
  { who: 'a member of cio by /etc/group only', isAdministrator: true, identity: user(3012) },
  { who: 'a member of cio by /etc/passwd only', isAdministrator: true, identity: user(3013) },
  { who: 'a user with a grant', isGranted: true, identity: user(3021) },
  { who: 'a user in a group with a grant', isGranted: true, identity: user(3022, 3022, BACKUP) },
  { who: 'a user whose primary group has a grant', isGranted: true, identity: user(3023, BACKUP) },
  { who: 'a stranger', identity: user(3030) },
  { who: 'a stranger with the groups of root and of others', identity: user(3031, 0, 0, 3021, 1) },
  { who: 'nobody', identity: user(65_534) },
  {
    who: 'a unit with a grant',
    isGranted: true,
    identity: user(3040),
    cgroup: `system.slice/${UNIT}.service`,
  },
  {
    who: 'a process deep inside such a unit',
    isGranted: true,
    identity: user(3041),
    cgroup: `system.slice/${UNIT}.service/payload/x.service`,
  },
  {
    who: 'an instance of a template with a grant',
    isGranted: true,
    identity: user(3042),
    cgroup: `system.slice/system-${TEMPLATE}.slice/${TEMPLATE}@home.service`,
  },
  { who: 'a unit named like such a template', identity: user(3047), cgroup: `system.slice/${TEMPLATE}.service` },
  {
    who: 'an instance of a template named like a unit with a grant',
    identity: user(3048),
    cgroup: `system.slice/system-${UNIT}.slice/${UNIT}@home.service`,
  },
  { who: 'another unit', identity: user(3043), cgroup: `system.slice/x-${UNIT}.service` },
  {
    who: 'another unit that made a cgroup of that name inside its own',
    identity: user(3044),
    cgroup: `system.slice/x-${UNIT}.service/system.slice/${UNIT}.service`,
  },
  {
    who: 'a user whose own service manager runs a unit of that name',
    identity: user(3045),
    cgroup: `user.slice/user-3045.slice/user@3045.service/app.slice/${UNIT}.service`,
  },
  {
    who: 'a process with a connection made by a process of such a unit that has ended',
    identity: user(3046),
    cgroup: `system.slice/${UNIT}.service`,
    isConnectorGone: true,
  },
];

/** The calls about the credential `cio_<set>_access_key`, and the right that each needs. */
export const PROBES: readonly (readonly [
  method: string,
  target: 'name' | 'set',
  needs: Right,
  parameters: (target: string) => object,
])[] = [
  ['Get', 'name', 'read', (name) => ({ name })],
  ['Get', 'name', 'write', (name) => ({ name, version: 1 })],
  ['GetSet', 'set', 'read', (set) => ({ set, allowIncomplete: true })],
  ['History', 'name', 'write', (name) => ({ name })],
  ...(['name', 'set'] as const).flatMap((target) => [
    ['Grant', target, 'write', (text: string) => ({ target: text, grantees: [{ uid: 9999 }] })] as const,
    ['Revoke', target, 'write', (text: string) => ({ target: text, grantees: [{ uid: 9999 }] })] as const,
    ['Rollback', target, 'write', (text: string) => ({ target: text })] as const,
  ]),
];
export const REMOVALS: typeof PROBES = [
  ['Remove', 'set', 'write', (set) => ({ names: [set] })],
  ['Remove', 'name', 'write', (name) => ({ names: [name] })],
];
export function rightOf({ isAdministrator, isGranted }: Persona, set: string): Right {
  if (set === 'missing') return 'none';
  if (isAdministrator === true || set.startsWith('own')) return 'write';
  return set === 'granted' && isGranted === true ? 'read' : 'none';
}

export function credentialOf(set: string): string {
  return `cio_${set}_access_key`;
}

/**
 * Starts a daemon in which administrators and Bob own credentials, one of which has grants.
 *
 * @param as the user that the daemon runs as; by default the user of the tests
 */
export async function startWorld(scope: Scope, as?: Identity): Promise<Daemon> {
  const directory = temporaryDirectory(scope);
  // As under systemd: as another user than root, with sockets for everybody.
  const own =
    as === undefined ? {} : { ...ownDirectories(directory, as), args: ['--system', '--validate-every', 'off'] };
  const daemon = await startDaemon(scope, { command: withUsers(scope, directory, as), ...own });
  const root = await RawClient.as(scope, daemon.socketPath, user(0));
  const bob = await RawClient.as(scope, daemon.socketPath, user(BOB));
  for (const owner of [root, bob]) for (const set of ['granted', 'foreign']) await createTwoVersions(owner, set);
  await grantToPersonas(root);
  return daemon;
}

/** Grants the shared set `granted` to every persona with {@link Persona.isGranted}. */
export async function grantToPersonas(root: RawClient): Promise<void> {
  const grantees = [{ uid: 3021 }, { gid: BACKUP }, { unit: `${UNIT}.service` }, { unit: `${TEMPLATE}@.service` }];
  assert.equal((await root.call('Grant', { target: 'granted', grantees })).error, undefined);
}

function ownDirectories(parent: string, as: Identity): { stateDirectory: string; runtimeDirectory: string } {
  return {
    stateDirectory: ownedDirectory(parent, 'state', as),
    runtimeDirectory: ownedDirectory(parent, 'run', as, '0755'),
  };
}

export function ownedDirectory(parent: string, name: string, { uid, gid }: Identity, mode = '0700'): string {
  const path = join(parent, name);
  spawnSync('install', ['-d', '-m', mode, '-o', String(uid), '-g', String(gid), path]);
  return path;
}

/** Stores two versions of a credential. */
export async function createTwoVersions(client: RawClient, set: string): Promise<void> {
  for (const value of ['first', 'second']) {
    const credentials = [{ name: credentialOf(set), value }];
    const { error } = await client.call('Create', { credentials, replace: true });
    assert.equal(error, undefined);
  }
}

export function outcomeOf({ error, parameters }: { error?: string; parameters: object }): object {
  return error === undefined ? {} : { error: error.replace('io.cio.Credentials.', ''), fields: parameters };
}

export function expected(right: Right, needs: Right, target: string): object {
  if (right === 'none') return { error: 'NotFound', fields: { name: target } };
  if (right === 'read' && needs === 'write') return { error: 'AccessDenied', fields: { name: target, right: 'write' } };
  return {};
}
