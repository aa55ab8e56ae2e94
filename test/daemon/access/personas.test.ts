import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { asIdentity, withIdentity } from '../../support/identity.ts';
import type { Identity } from '../../support/identity.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Voice, cgroups, makeCgroup } from './voice.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..', '..');
const DAEMON = [process.execPath, join(REPOSITORY, 'daemon', 'main.ts')];

/** The number of the group cio, in a user database that only the daemon sees. */
const CIO = 4990;
/** A group that something is granted to. */
const BACKUP = 4960;
/** No other unit is called so. */
const UNIT = `cio-test-${process.pid}`;

const PASSWD = `root:x:0:0::/:/bin/sh
clara:x:3012:3012::/:/bin/sh
dora:x:3013:${CIO}::/:/bin/sh
emil:x:3020:3020::/:/bin/sh
`;
const GROUP = `root:x:0:
cio:x:${CIO}:berta,clara
backup:x:${BACKUP}:emil
`;

/** Mounts of a process's own: its user database is another than the machine's. */
function privateMounts(): string | undefined {
  return spawnSync('unshare', ['--mount', 'true']).status === 0 ? undefined : 'the right to mount (unshare --mount)';
}

const skip = skipUnless(root, command('unshare', 'util-linux'), privateMounts);

/** The command of a daemon that finds these users and groups in /etc, and nobody else does. */
function withUsers(directory: string, passwd: string, group: string): string[] {
  const files = { passwd: join(directory, 'passwd'), group: join(directory, 'group') };
  writeFileSync(files.passwd, passwd);
  writeFileSync(files.group, group);
  const script = 'mount --bind "$0" /etc/passwd && mount --bind "$1" /etc/group && shift && exec "$@"';
  return ['unshare', '--mount', '--', '/bin/sh', '-c', script, files.passwd, files.group, ...DAEMON];
}

/** What somebody may do with a credential. */
type Right = 'write' | 'read' | 'none';

interface Persona {
  readonly who: string;
  readonly isAdministrator?: boolean;
  readonly isGranted?: boolean;
  readonly identity: Identity;
  /** Where his process is; the test's own process speaks for him if nowhere. */
  readonly cgroup?: string;
  readonly isConnectorGone?: boolean;
}

const user = (uid: number, gid = uid, ...groups: number[]): Identity => ({ uid, gid, groups });

const PERSONAS: readonly Persona[] = [
  { who: 'root', isAdministrator: true, identity: user(0) },
  { who: 'a member of cio by the groups of his process', isAdministrator: true, identity: user(3010, 3010, 7, CIO) },
  { who: 'a member of cio by the group of his process', isAdministrator: true, identity: user(3011, CIO) },
  { who: 'a member of cio by /etc/group only', isAdministrator: true, identity: user(3012) },
  { who: 'a member of cio by /etc/passwd only', isAdministrator: true, identity: user(3013) },
  { who: 'a user whom it was granted to', isGranted: true, identity: user(3021) },
  { who: 'a user in a group that it was granted to', isGranted: true, identity: user(3022, 3022, BACKUP) },
  { who: 'a user whose first group it was granted to', isGranted: true, identity: user(3023, BACKUP) },
  { who: 'a stranger', identity: user(3030) },
  { who: 'a stranger with the groups of root and of others', identity: user(3031, 0, 0, 3021, 1) },
  { who: 'nobody', identity: user(65_534) },
  {
    who: 'a unit that it was granted to',
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
    who: 'an instance of a template that it was granted to',
    isGranted: true,
    identity: user(3042),
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
    who: 'somebody with a connection that a process of such a unit made, which is gone',
    identity: user(3046),
    cgroup: `system.slice/${UNIT}.service`,
    isConnectorGone: true,
  },
];

/** What is asked of the credential `cio_<set>_access_key`, and the right that it takes. */
const PROBES: readonly (readonly [
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
const REMOVALS: typeof PROBES = [
  ['Remove', 'set', 'write', (set) => ({ names: [set] })],
  ['Remove', 'name', 'write', (name) => ({ names: [name] })],
];
const ADMINISTRATION: readonly (readonly [method: string, parameters: object])[] = [
  ['List', { allOwners: true }],
  ['ListSlots', {}],
  ['Fsck', {}],
  ['Fsck', { repair: true }],
  ['Rekey', {}],
  ['Lock', {}],
  ['Unlock', {}],
];

function rightOf({ isAdministrator, isGranted }: Persona, set: string): Right {
  if (set === 'missing') return 'none';
  if (isAdministrator === true || set.startsWith('own')) return 'write';
  return set === 'granted' && isGranted === true ? 'read' : 'none';
}

function credentialOf(set: string): string {
  return `cio_${set}_access_key`;
}

/** A daemon in which administrators and Bob own credentials, of which one is granted. */
async function startWorld(): Promise<Daemon> {
  const scope = { after };
  const daemon = await startDaemon(scope, { command: withUsers(temporaryDirectory(scope), PASSWD, GROUP) });
  const root = await Voice.as(scope, daemon.socketPath, user(0));
  const bob = await Voice.as(scope, daemon.socketPath, user(3002));
  for (const owner of [root, bob]) for (const set of ['granted', 'foreign']) await keep(owner, set);
  const grantees = [{ uid: 3021 }, { gid: BACKUP }, { unit: `${UNIT}.service` }, { unit: `${UNIT}@.service` }];
  assert.equal((await root.call('Grant', { target: 'granted', grantees })).error, undefined);
  return daemon;
}

const world = skip === false ? await startWorld() : undefined;
const socketPath = world?.socketPath ?? '';

describe('who may do what', { skip }, () => {
  for (const persona of PERSONAS) {
    const { who, identity, cgroup, isConnectorGone = false } = persona;
    it(who, { skip: cgroup !== undefined && skipUnless(cgroups) }, async (t) => {
      // Taken away after the process that is in it has ended: what is asked for first is cleaned up first.
      const cleanUps: (() => void | Promise<void>)[] = [];
      t.after(async () => {
        for (const cleanUp of cleanUps.toReversed()) await cleanUp();
      });
      const scope = { after: (cleanUp: () => void | Promise<void>) => void cleanUps.push(cleanUp) };
      const voice =
        cgroup === undefined
          ? await Voice.as(scope, socketPath, identity)
          : Voice.relayed(scope, socketPath, identity, { cgroup: makeCgroup(scope, cgroup), isConnectorGone });

      const own = `own${identity.uid}`;
      await keep(voice, own);
      for (const set of [own, 'granted', 'foreign', 'missing']) {
        const right = rightOf(persona, set);
        const isShared = set === 'granted' || set === 'foreign';
        const probes =
          right === 'write' && isShared ? PROBES : [...PROBES, ...REMOVALS.slice(right === 'write' ? 1 : 0)];
        for (const [method, kind, needs, parameters] of probes) {
          const target = kind === 'set' ? set : credentialOf(set);
          const reply = await voice.call(method, parameters(target));
          assert.deepEqual(outcomeOf(reply), expected(right, needs, target), `${method} of ${target}`);
        }
        if (set === own) await keep(voice, own);
        const { parameters } = await voice.call('List', { patterns: [set] });
        const writable = (parameters['credentials'] as { writable: boolean }[]).map(
          (credential) => credential.writable,
        );
        assert.deepEqual(writable, right === 'none' ? [] : [right === 'write']);
      }

      for (const [method, parameters] of ADMINISTRATION) {
        const denied = { error: 'AccessDenied', fields: { right: 'administer' } };
        const reply = await voice.call(method, parameters);
        assert.deepEqual(outcomeOf(reply), persona.isAdministrator === true ? {} : denied, method);
      }
      assert.equal((await voice.call('Status')).parameters['administrator'], persona.isAdministrator === true);
    });

    if (persona.isAdministrator === true) continue;
    it(
      `${who}: hears of what is others’ the same bytes as of what is not there`,
      { skip: cgroup !== undefined && skipUnless(cgroups) },
      async (t) => {
        const voice = await Voice.as(t, socketPath, user(identity.uid, 9));
        for (const owner of [undefined, 0, 3002, 4242]) {
          const of = owner === undefined ? {} : { owner };
          for (const [method, kind, , parameters] of [...PROBES, ...REMOVALS]) {
            const [foreign, missing] = ['foreign', 'missing'].map((set) =>
              voice.say(method, { ...parameters(kind === 'set' ? set : credentialOf(set)), ...of }),
            );
            assert.equal((await foreign)?.replaceAll('foreign', 'missing'), await missing);
          }
        }
      },
    );
  }

  it('an owner among his own, whom an administrator named', async (t) => {
    const root = await Voice.as(t, socketPath, user(0));
    const owner = await Voice.as(t, socketPath, user(3050));
    const credentials = [{ name: credentialOf('foreign'), value: 'for-him' }];
    assert.equal((await root.call('Create', { credentials, owner: 3050 })).error, undefined);
    assert.equal((await owner.call('Get', { name: credentialOf('foreign') })).parameters['value'], 'for-him');
    assert.equal((await owner.call('Remove', { names: ['foreign'] })).error, undefined);
  });

  it('a new member is one from his next connection on, and one who is none any more is not', async (t) => {
    const directory = temporaryDirectory(t);
    const own = await startDaemon(t, { command: withUsers(directory, PASSWD, GROUP) });
    const isAdministrator = async (uid: number): Promise<unknown> =>
      (await (await Voice.as(t, own.socketPath, user(uid))).call('Status')).parameters['administrator'];
    assert.deepEqual([await isAdministrator(3012), await isAdministrator(3020)], [true, false]);
    writeFileSync(join(directory, 'group'), `cio:x:${CIO}:emil\n`);
    assert.deepEqual([await isAdministrator(3012), await isAdministrator(3020)], [false, true]);
    writeFileSync(join(directory, 'group'), '');
    assert.deepEqual([await isAdministrator(3012), await isAdministrator(3020)], [false, false]);
  });

  it('nobody who has more groups than are looked at: he is refused', async (t) => {
    const groups = Array.from({ length: 5000 }, (_, index) => 10_000 + index);
    await assert.rejects(
      async () => (await Voice.as(t, socketPath, user(3060, 3060, ...groups))).say('Status'),
      /ended|EPIPE|ECONNRESET/,
    );
    assert.match(world?.log ?? '', /a connection was refused: the kernel does not say who it is/);
    assert.ok(!(world?.log ?? '').includes('10000'));
  });
});

describe('a daemon of a user', { skip }, () => {
  it('has a socket of his own, and takes him and root for administrators', async (t) => {
    const identity = user(3070);
    const directory = temporaryDirectory(t);
    const daemon = await startDaemon(t, {
      command: [...asIdentity(identity, ['/bin/sh', '-c', 'umask 0; exec "$@"', 'sh']), ...DAEMON],
      stateDirectory: join(ownedDirectory(directory, 'state', identity)),
      runtimeDirectory: join(ownedDirectory(directory, 'run', identity)),
    });
    assert.equal(statSync(daemon.socketPath).mode & 0o777, 0o600);
    for (const uid of [0, 3070]) {
      const voice = await Voice.as(t, daemon.socketPath, user(uid));
      assert.equal((await voice.call('Status')).parameters['administrator'], true);
      assert.equal((await voice.call('Status')).parameters['uid'], 3070);
    }
    const refused = new Promise((_resolve, reject) => {
      withIdentity(user(3071), () => connect(daemon.socketPath)).once('error', reject);
    });
    await assert.rejects(refused, { code: 'EACCES' });
  });
});

function ownedDirectory(parent: string, name: string, { uid, gid }: Identity): string {
  const path = join(parent, name);
  spawnSync('install', ['-d', '-m', '0700', '-o', String(uid), '-g', String(gid), path]);
  return path;
}

/** Stores two versions. */
async function keep(voice: Voice, set: string): Promise<void> {
  for (const value of ['first', 'second']) {
    const credentials = [{ name: credentialOf(set), value }];
    const { error } = await voice.call('Create', { credentials, replace: true });
    assert.equal(error, undefined);
  }
}

function outcomeOf({ error, parameters }: { error?: string; parameters: object }): object {
  return error === undefined ? {} : { error: error.replace('io.cio.Credentials.', ''), fields: parameters };
}

function expected(right: Right, needs: Right, target: string): object {
  if (right === 'none') return { error: 'NotFound', fields: { name: target } };
  if (right === 'read' && needs === 'write') return { error: 'AccessDenied', fields: { name: target, right: 'write' } };
  return {};
}
