import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { forAllUsers } from '../../support/checkout-for-all.ts';
import { DAEMON_SOURCE, startDaemon } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { asIdentity, withIdentity } from '../../support/identity.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import {
  CIO,
  PERSONAS,
  PROBES,
  REMOVALS,
  createTwoVersions,
  credentialOf,
  expected,
  outcomeOf,
  ownedDirectory,
  privateMounts,
  rightOf,
  startWorld,
  user,
  withUsers,
} from './personas.ts';
import { RawClient, cgroups, makeCgroup } from './raw-client.ts';

const skip = skipUnless(root, command('unshare', 'util-linux'), privateMounts);

const ADMINISTRATION: readonly (readonly [method: string, parameters: object])[] = [
  ['List', { allOwners: true }],
  ['ListSlots', {}],
  ['Fsck', {}],
  ['Fsck', { repair: true }],
  ['Rekey', {}],
  ['Lock', {}],
  ['Unlock', {}],
];

const world = skip === false ? await startWorld({ after }) : undefined;
const socketPath = world?.socketPath ?? '';

describe('access by persona', { skip }, () => {
  for (const persona of PERSONAS) {
    const { who, identity, cgroup, isConnectorGone = false } = persona;
    it(who, { skip: cgroup !== undefined && skipUnless(cgroups) }, async (t) => {
      // The cgroup must be removed after its process has ended: clean-ups run last in, first out.
      const cleanUps: (() => void | Promise<void>)[] = [];
      t.after(async () => {
        for (const cleanUp of cleanUps.toReversed()) await cleanUp();
      });
      const scope = { after: (cleanUp: () => void | Promise<void>) => void cleanUps.push(cleanUp) };
      const client =
        cgroup === undefined
          ? await RawClient.as(scope, socketPath, identity)
          : RawClient.relayed(scope, socketPath, identity, { cgroup: makeCgroup(scope, cgroup), isConnectorGone });

      const own = `own${identity.uid}`;
      await createTwoVersions(client, own);
      for (const set of [own, 'granted', 'foreign', 'missing']) {
        const right = rightOf(persona, set);
        const isShared = set === 'granted' || set === 'foreign';
        const probes =
          right === 'write' && isShared ? PROBES : [...PROBES, ...REMOVALS.slice(right === 'write' ? 1 : 0)];
        for (const [method, kind, needs, parameters] of probes) {
          const target = kind === 'set' ? set : credentialOf(set);
          const reply = await client.call(method, parameters(target));
          assert.deepEqual(outcomeOf(reply), expected(right, needs, target), `${method} of ${target}`);
        }
        if (set === own) await createTwoVersions(client, own);
        const { parameters } = await client.call('List', { patterns: [set] });
        const writable = (parameters['credentials'] as { writable: boolean }[]).map(
          (credential) => credential.writable,
        );
        assert.deepEqual(writable, right === 'none' ? [] : [right === 'write']);
      }

      for (const [method, parameters] of ADMINISTRATION) {
        const denied = { error: 'AccessDenied', fields: { right: 'administer' } };
        const reply = await client.call(method, parameters);
        assert.deepEqual(outcomeOf(reply), persona.isAdministrator === true ? {} : denied, method);
      }
      assert.equal((await client.call('Status')).parameters['administrator'], persona.isAdministrator === true);
    });

    if (persona.isAdministrator === true) continue;
    it(
      `${who}: gets the same bytes about others’ credentials as about missing ones`,
      { skip: cgroup !== undefined && skipUnless(cgroups) },
      async (t) => {
        const client = await RawClient.as(t, socketPath, user(identity.uid, 9));
        for (const owner of [undefined, 0, 3002, 4242]) {
          const of = owner === undefined ? {} : { owner };
          for (const [method, kind, , parameters] of [...PROBES, ...REMOVALS]) {
            const [foreign, missing] = ['foreign', 'missing'].map((set) =>
              client.callRaw(method, { ...parameters(kind === 'set' ? set : credentialOf(set)), ...of }),
            );
            assert.equal((await foreign)?.replaceAll('foreign', 'missing'), await missing);
          }
        }
      },
    );
  }

  it('an owner named by an administrator may do everything with the credential', async (t) => {
    const root = await RawClient.as(t, socketPath, user(0));
    const owner = await RawClient.as(t, socketPath, user(3050));
    const credentials = [{ name: credentialOf('foreign'), value: 'for-him' }];
    assert.equal((await root.call('Create', { credentials, owner: 3050 })).error, undefined);
    assert.equal((await owner.call('Get', { name: credentialOf('foreign') })).parameters['value'], 'for-him');
    assert.equal((await owner.call('Remove', { names: ['foreign'] })).error, undefined);
  });

  it('a change of group membership takes effect with the next connection', async (t) => {
    const directory = temporaryDirectory(t);
    const own = await startDaemon(t, { command: withUsers(t, directory) });
    const isAdministrator = async (uid: number): Promise<unknown> =>
      (await (await RawClient.as(t, own.socketPath, user(uid))).call('Status')).parameters['administrator'];
    assert.deepEqual([await isAdministrator(3012), await isAdministrator(3020)], [true, false]);
    writeFileSync(join(directory, 'group'), `cio:x:${CIO}:emil\n`);
    assert.deepEqual([await isAdministrator(3012), await isAdministrator(3020)], [false, true]);
    writeFileSync(join(directory, 'group'), '');
    assert.deepEqual([await isAdministrator(3012), await isAdministrator(3020)], [false, false]);
  });

  it('a peer with more groups than the daemon reads is refused', async (t) => {
    const groups = Array.from({ length: 5000 }, (_, index) => 10_000 + index);
    await assert.rejects(
      async () => (await RawClient.as(t, socketPath, user(3060, 3060, ...groups))).callRaw('Status'),
      /ended|EPIPE|ECONNRESET/,
    );
    // The log line does not arrive in order with the end of the connection.
    await eventually(() => world?.log.includes('a connection was refused: the peer cannot be identified') === true);
    assert.ok(!(world?.log ?? '').includes('10000'));
  });
});

describe("a user's own daemon", { skip }, () => {
  it('has a socket with mode 0600, and treats the user and root as administrators', async (t) => {
    const identity = user(3070);
    const directory = temporaryDirectory(t);
    const daemon = await startDaemon(t, {
      command: asIdentity(identity, ['/bin/sh', '-c', 'umask 0; exec "$@"', 'sh', ...forAllUsers(t, DAEMON_SOURCE)]),
      stateDirectory: join(ownedDirectory(directory, 'state', identity)),
      runtimeDirectory: join(ownedDirectory(directory, 'run', identity)),
    });
    assert.equal(statSync(daemon.socketPath).mode & 0o777, 0o600);
    for (const uid of [0, 3070]) {
      const client = await RawClient.as(t, daemon.socketPath, user(uid));
      assert.equal((await client.call('Status')).parameters['administrator'], true);
      assert.equal((await client.call('Status')).parameters['uid'], 3070);
    }
    const refused = new Promise((_resolve, reject) => {
      withIdentity(user(3071), () => connect(daemon.socketPath)).once('error', reject);
    });
    await assert.rejects(refused, { code: 'EACCES' });
  });
});
