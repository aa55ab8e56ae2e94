import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WATCHERS_PER_USER_MAX } from '../../../daemon/access/watch-hub.ts';
import { WatchedView } from '../../../daemon/access/watched-view.ts';
import { WATCHED_PER_USER_MAX } from '../../../src/limits.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { WatchedSet } from '../../../src/protocol/interface.generated.ts';
import { eventually } from '../../support/eventually.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { ALICE, BOB, RESTIC, ROOT, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';
import { startServer } from '../socket/test-server.ts';
import { restore, takeCopy } from './copies.ts';
import { WatchingClient } from './watching-client.ts';

const AWS = ['backup_repo', 'access_key', 'secret_key', 'backup_password'].map((field) => `cio_aws_${field}`);

describe('Watch', () => {
  it('reports the present state in one reply, without values', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS, { name: 'token', value: 'canary-value' });
    const watching = new WatchingClient(core, ROOT);
    const told = await watching.nextReply();
    assert.deepEqual(told.credentials.map(({ name }) => name).toSorted(), [...AWS, 'token'].toSorted());
    assert.deepEqual(
      told.credentials.find(({ name }) => name === 'token'),
      {
        name: 'token',
        owner: 0,
        version: 1,
        generation: 1,
      },
    );
    const [{ uuid } = { uuid: '' }] = (await core.ask(ROOT, 'List', {})).sets;
    assert.deepEqual(told.sets, [
      {
        set: 'aws',
        uuid,
        owner: 0,
        ready: true,
        missing: [],
        generation: 1,
        health: 'unproved',
        reloadUnits: false,
      },
    ]);
    assert.deepEqual([told.vanished, told.settled], [[], true]);
    assert.doesNotMatch(JSON.stringify(told), /canary|value-of|s3:/);
    await watching.leave();
  });

  it('reports an empty state in one reply', async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE]) {
      const watching = new WatchingClient(core, person);
      assert.deepEqual(await watching.nextReply(), { credentials: [], sets: [], vanished: [], settled: true });
      await watching.leave();
    }
  });

  it('reports everything that a commit made, changed and removed in one reply', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    const watching = await WatchingClient.start(core, ROOT);
    await core.replace(ROOT, 'cio_aws_secret_key', 'another');
    const changed = await watching.nextReply();
    assert.deepEqual(changed.credentials, [{ name: 'cio_aws_secret_key', owner: 0, version: 2, generation: 2 }]);
    assert.equal(changed.settled, true);
    assert.deepEqual(
      changed.sets.map(({ set, ready, generation }) => [set, ready, generation]),
      [['aws', true, 2]],
    );
    await core.ask(ROOT, 'Remove', { names: ['cio_aws_access_key'] });
    const removed = await watching.nextReply();
    assert.deepEqual(removed.vanished, [{ kind: 'credential', name: 'cio_aws_access_key', owner: 0 }]);
    assert.deepEqual(
      removed.sets.map(({ ready, missing, generation }) => [ready, missing, generation]),
      [[false, ['access_key'], 3]],
    );
    await core.ask(ROOT, 'Remove', { names: ['aws'] });
    const gone = await watching.nextReply();
    assert.equal(gone.vanished.length, 4);
    assert.deepEqual(gone.vanished.at(-1), { kind: 'set', name: 'aws', owner: 0 });
    await core.create(ROOT, 'cio_aws_access_key');
    const back = await watching.nextReply();
    assert.deepEqual(back.credentials, [{ name: 'cio_aws_access_key', owner: 0, version: 1, generation: 5 }]);
    await watching.leave();
  });

  it('reports the net effect of many unread changes, once', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'other');
    const watching = await WatchingClient.start(core, ROOT);
    for (let round = 0; round < 300; round += 1) await core.replace(ROOT, 'token', `value-${round}`);
    await core.ask(ROOT, 'Remove', { names: ['other'] });
    await core.create(ROOT, 'brief');
    await core.ask(ROOT, 'Remove', { names: ['brief'] });
    const told = await watching.nextReply();
    assert.deepEqual(told.credentials, [{ name: 'token', owner: 0, version: 301, generation: 301 }]);
    assert.deepEqual(told.vanished, [{ kind: 'credential', name: 'other', owner: 0 }]);
    await watching.assertSilent();
    await watching.leave();
  });

  it('reports nothing of a refused call in a commit with others', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'other');
    const watching = await WatchingClient.start(core, ROOT);
    const refused = core.call(ROOT, 'Create', {
      credentials: [
        { name: 'new', value: 'x' },
        { name: 'token', value: 'x' },
      ],
    });
    await Promise.all([refused, core.replace(ROOT, 'other', 'x')]);
    assert.equal((await refused).error, `${INTERFACE_NAME}.AlreadyExists`);
    const told = await watching.nextReply();
    assert.deepEqual(
      told.credentials.map(({ name }) => name),
      ['other'],
    );
    await watching.assertSilent();
    await watching.leave();
  });

  it('does not notify callers of changes they may not see', async (t) => {
    const core = await startCore(t);
    const [alice, bob] = [await WatchingClient.start(core, ALICE), await WatchingClient.start(core, BOB)];
    const root = await WatchingClient.start(core, ROOT);
    await core.create(ALICE, ...AWS);
    await core.create(ROOT, 'shared');
    await root.until(['shared']);
    await alice.nextReply();
    await bob.assertSilent();
    assert.equal(alice.credentials.size, 4);
    await alice.assertSilent();
    for (const watching of [alice, bob, root]) await watching.leave();
  });

  it('follows grants and revocations at once, for a user, a group, a unit and its template', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS, 'token');
    const cases: readonly (readonly [Person, object])[] = [
      [ALICE, { uid: ALICE.uid }],
      [{ uid: 3004, groups: [77] }, { gid: 77 }],
      [RESTIC, { unit: 'restic.service' }],
      [{ uid: 3005, unit: 'restic@home.service' }, { unit: 'restic@.service' }],
    ];
    for (const [person, grantee] of cases) {
      const watching = await WatchingClient.start(core, person);
      await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [grantee] });
      await watching.until([...AWS, 'set:aws']);
      await core.replace(ROOT, 'token', 'unseen');
      await core.ask(ROOT, 'Grant', { target: 'token', grantees: [grantee] });
      await watching.until([...AWS, 'set:aws', 'token']);
      await core.ask(ROOT, 'Revoke', { target: 'aws', grantees: [grantee] });
      await watching.until(['token']);
      await core.ask(ROOT, 'Revoke', { target: 'token', grantees: [grantee] });
      await watching.until([]);
      await core.replace(ROOT, 'cio_aws_access_key', 'unseen');
      await watching.assertSilent();
      await watching.leave();
    }
  });

  it('shows the readable part of a set, and does not reveal the rest', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ uid: ALICE.uid }] });
    const watching = await WatchingClient.start(core, ALICE);
    assert.deepEqual(
      [...watching.sets.values()].map(({ missing }) => missing),
      [['backup_repo', 'secret_key', 'backup_password']],
    );
    await core.replace(ROOT, 'cio_aws_secret_key', 'unseen');
    await watching.assertSilent();
    await core.replace(ROOT, 'cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ');
    assert.deepEqual(
      (await watching.nextReply()).credentials.map(({ version }) => version),
      [2],
    );
    await watching.leave();
  });

  it("reports a set's health after a validation, and that it is unproved after a change", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ uid: BOB.uid }] });
    const [root, alice] = [await WatchingClient.start(core, ROOT), await WatchingClient.start(core, ALICE)];
    const bob = await WatchingClient.start(core, BOB);
    const outcome = { space: 'system', set: 'aws', generation: 1, unlocked: core.vault.unlocked() } as const;
    await core.health.record({ ...outcome, findings: [{ check: 'key', state: 'failed', reason: 'key_rejected' }] });
    for (const watching of [root, alice]) {
      const { credentials, sets } = await watching.nextReply();
      assert.deepEqual([credentials, sets.map(({ health }) => health)], [[], ['failed']]);
    }
    await core.health.record({ ...outcome, findings: [{ check: 'key', state: 'failed', reason: 'key_rejected' }] });
    await core.replace(ROOT, 'cio_aws_secret_key', 'another');
    const { sets } = await alice.nextReply();
    assert.deepEqual(
      sets.map(({ health }) => health),
      ['unproved'],
    );
    // Bob sees one field of the set, and so no change of the others.
    await bob.assertSilent();
    for (const watching of [root, alice, bob]) await watching.leave();
  });

  it(
    'reports other changes of a partly readable set: a removal, and the loss of its proof',
    { timeout: 60_000 },
    async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, ...AWS, 'cio_aws_region');
      for (const target of AWS) await core.ask(ROOT, 'Grant', { target, grantees: [{ uid: ALICE.uid }] });
      const watching = await WatchingClient.start(core, ALICE);
      const told = async (): Promise<unknown[]> => {
        const { credentials, sets, vanished } = await watching.nextReply();
        assert.deepEqual([credentials, vanished], [[], []]);
        return sets.flatMap(({ generation, health }) => [generation, health]);
      };
      const { generation } = await core.ask(ROOT, 'Remove', { names: ['cio_aws_region'] });
      assert.deepEqual(await told(), [generation, 'unproved']);
      await core.health.record({
        space: 'system',
        set: 'aws',
        generation,
        unlocked: core.vault.unlocked(),
        findings: [],
      });
      assert.deepEqual(await told(), [generation, 'passed']);
      await core.create(ROOT, 'cio_aws_region');
      assert.deepEqual(await told(), [generation, 'unproved']);
      const { sets } = await core.ask(ALICE, 'List', {});
      assert.deepEqual(
        sets.flatMap((set) => [set.generation, set.health.state]),
        [generation, 'unproved'],
      );
      await watching.leave();
    },
  );

  it('applies its patterns and owner; a matching credential includes its set', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS, 'token');
    await core.create(ALICE, 'token', 'cio_minio_access_key');
    const all = ['cio_aws_*', 'minio'];
    const byName = await WatchingClient.start(core, ROOT, { patterns: ['cio_aws_access_key'] });
    const bySet = await WatchingClient.start(core, ROOT, { patterns: all, owner: ALICE.uid });
    assert.deepEqual([...byName.credentials.keys(), ...byName.sets.keys()], ['cio_aws_access_key', 'set:aws']);
    await bySet.until(['3001/cio_minio_access_key', 'set:3001/minio']);
    await core.replace(ROOT, 'cio_aws_secret_key', 'x');
    await core.replace(ROOT, 'token', 'x');
    const told = await byName.nextReply();
    assert.deepEqual([told.credentials, told.sets.length], [[], 1]);
    await byName.assertSilent();
    await bySet.assertSilent();
    const generation = await core.replace(ALICE, 'cio_minio_access_key', 'x');
    assert.equal((await bySet.nextReply()).credentials[0]?.generation, generation);
    const others = await WatchingClient.start(core, BOB, { owner: ALICE.uid });
    assert.equal(others.credentials.size, 0);
    for (const watching of [byName, bySet, others]) await watching.leave();
    const [refused] = await core.send(ROOT, {
      method: `${INTERFACE_NAME}.Watch`,
      parameters: { patterns: Array.from({ length: 101 }, () => '*') },
      more: true,
    });
    assert.equal(refused?.error, `${INTERFACE_NAME}.TooLarge`);
  });

  it('shows only one owner, whatever others grant, change and revoke', async (t) => {
    const core = await startCore(t);
    const grantees = [{ uid: ALICE.uid }];
    for (const person of [ROOT, BOB]) await core.create(person, 'token', 'cio_aws_access_key');
    await core.create(ALICE, 'own');
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees });
    const mine = await WatchingClient.start(core, ALICE, { owner: ALICE.uid });
    const shared = await WatchingClient.start(core, ALICE, { owner: 0 });
    assert.deepEqual([...mine.credentials.keys(), ...mine.sets.keys()], ['3001/own']);
    assert.deepEqual([...shared.credentials.keys(), ...shared.sets.keys()], ['cio_aws_access_key', 'set:aws']);
    for (const target of ['token', 'aws']) await core.ask(BOB, 'Grant', { target, grantees });
    for (const name of ['token', 'cio_aws_access_key']) await core.replace(BOB, name, 'x');
    await core.ask(BOB, 'Revoke', { target: 'token', grantees });
    await shared.assertSilent();
    await core.replace(ROOT, 'cio_aws_access_key', 'x');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees });
    await mine.assertSilent();
    await shared.until(['token', 'cio_aws_access_key', 'set:aws']);
    await core.create(ALICE, 'second');
    await mine.until(['3001/own', '3001/second']);
    await shared.assertSilent();
    for (const watching of [mine, shared]) await watching.leave();
  });

  it('ends with Locked when the store is locked, even if it is unlocked again at once', async (t) => {
    const core = await startCore(t);
    const watching = await WatchingClient.start(core, ALICE);
    await core.ask(ROOT, 'Lock', {});
    await core.ask(ROOT, 'Unlock', {});
    assert.equal(await watching.failure(), 'Locked');
  });

  it('refuses at once more credentials than one user may watch, and accepts a pattern for a part of them', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.vault.write((writer) => {
      const known = writer.principal('system');
      if (known !== undefined) writer.putPrincipal({ ...known, count: WATCHED_PER_USER_MAX + 1 });
    });
    const call = { method: `${INTERFACE_NAME}.Watch`, parameters: {}, more: true };
    const lists = core.store.reads.filter((read) => read.startsWith('list')).length;
    assert.deepEqual(
      (await core.send(ROOT, call)).map(({ error, parameters }) => [error, parameters]),
      [[`${INTERFACE_NAME}.TooLarge`, { limit: WATCHED_PER_USER_MAX }]],
    );
    assert.equal(core.store.reads.filter((read) => read.startsWith('list')).length, lists, 'nothing was gone through');
    const watching = await WatchingClient.start(core, ROOT, { patterns: ['tok*'] });
    assert.deepEqual([...watching.credentials.keys()], ['token']);
    await watching.leave();
    await (await WatchingClient.start(core, ALICE)).leave();
  });

  it('ends with Busy when a copy is restored: equal generations may then have other values', async (t) => {
    const other = await startCore(t);
    await other.create(ROOT, { name: 'token', value: 'of the other store' });
    const { recoveryCode } = await other.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    const { bytes } = await takeCopy(other);
    const core = await startCore(t);
    await core.create(ROOT, { name: 'token', value: 'of this store' });
    const watching = await WatchingClient.start(core, ROOT);
    const next = watching.failure();
    await restore(core, bytes, { recoveryCode: recoveryCode ?? null });
    assert.equal(await next, 'Busy');
    const again = await WatchingClient.start(core, ROOT);
    assert.ok(again.credentials.has('token'));
    await again.leave();
  });

  it('reports nothing of a rekey, and goes on after it', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...AWS);
    const watching = await WatchingClient.start(core, ROOT);
    await core.ask(ROOT, 'Rekey', {});
    await watching.assertSilent();
    await core.create(ROOT, 'token');
    await watching.nextReply();
    assert.ok(watching.credentials.has('token'));
    await watching.leave();
  });

  it('requires a call with more, and ignores a oneway one', async (t) => {
    const core = await startCore(t);
    const [reply, ...others] = await core.send(ROOT, { method: `${INTERFACE_NAME}.Watch`, parameters: {} });
    assert.deepEqual([reply, others], [{ error: 'org.varlink.service.ExpectedMore', parameters: {} }, []]);
    const call = { method: `${INTERFACE_NAME}.Watch`, parameters: {}, more: true, oneway: true };
    assert.deepEqual(await core.send(ROOT, call), []);
  });

  it('loses and repeats nothing while a long state is reported and everything changes', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: 900 }, (_, index) => `name-${index}`);
    await core.create(ROOT, ...names);
    const watching = new WatchingClient(core, ROOT);
    const whole = (async () => {
      while (!(await watching.nextReply()).settled);
    })();
    for (let round = 0; round < 60; round += 1) {
      await core.replace(ROOT, `name-${(round * 37) % 900}`, `value-${round}`);
      await core.ask(ROOT, 'Remove', { names: [`name-${(round * 53 + 1) % 900}`] }).catch(() => undefined);
      await core.create(ROOT, `new-${round}`);
    }
    await whole;
    assert.ok(watching.replies > 3 && watching.credentials.size > 800, 'settled is the last part of it');
    await agrees(core, ROOT, watching);
    await watching.leave();
  });

  it('keeps nothing of a watcher that has left', async (t) => {
    const core = await startCore(t);
    for (let count = 0; count <= WATCHERS_PER_USER_MAX; count += 1) {
      const watching = await WatchingClient.start(core, ROOT);
      await watching.leave();
    }
  });

  it('looks at everything again after more changes than it remembers', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'first', 'removed');
    const watching = await WatchingClient.start(core, ROOT);
    await core.ask(ROOT, 'Remove', { names: ['removed'] });
    for (let thousand = 0; thousand < 11; thousand += 1) {
      await core.create(ROOT, ...Array.from({ length: 1000 }, (_, index) => `name-${thousand}-${index}`));
    }
    while (watching.credentials.size !== 11_001 || watching.credentials.has('removed')) await watching.nextReply();
    await watching.assertSilent();
    await watching.leave();
  });

  it('agrees with List after any changes, for all callers, however slowly they read', async (t) => {
    const core = await startCore(t);
    const people = [ROOT, ALICE, BOB, RESTIC];
    const watchers = await Promise.all(people.map((person) => WatchingClient.start(core, person)));
    const random = randomNumbers(20_261_122);
    for (let round = 0; round < 400; round += 1) {
      await changeSomething(core, random);
      if (random(10) === 0) await agrees(core, people[round % 4] ?? ROOT, watchers[round % 4] ?? fail());
    }
    for (const [index, person] of people.entries()) await agrees(core, person, watchers[index] ?? fail());
    for (const watching of watchers) await watching.leave();
  });
});

describe('Watch on a connection', () => {
  const call = { method: `${INTERFACE_NAME}.Watch`, parameters: {} };

  it('ends with Busy when the daemon stops', { timeout: 60_000 }, async (t) => {
    t.after(() => t.mock.reset());
    const core = await startCore(t);
    const { server, path } = await startServer(t, core.dispatch);
    const peer = await RawVarlink.connect(t, path);
    peer.send({ ...call, more: true });
    assert.equal((await peer.receive())?.continues, true);
    // The timers for peers that do not leave by themselves never fire now.
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const stopped = server.stop();
    assert.equal((await peer.receive())?.error, `${INTERFACE_NAME}.Busy`);
    await stopped;
  });

  it('is forgotten when its peer is gone, but not when it only closed its sending side', async (t) => {
    const core = await startCore(t);
    const forgotten = t.mock.method(WatchedView.prototype, 'release');
    const { path } = await startServer(t, core.dispatch);
    const [half, away] = [await RawVarlink.connect(t, path), await RawVarlink.connect(t, path)];
    for (const peer of [half, away]) {
      peer.send({ ...call, more: true });
      await peer.receive();
    }
    half.socket.end();
    away.socket.destroy();
    await eventually(() => forgotten.mock.callCount() === 1);
    await core.create({ uid: process.getuid?.() ?? 0 }, 'token');
    assert.equal((await half.receive())?.continues, true);
    assert.equal(forgotten.mock.callCount(), 1);
  });
});

/** Asserts that the reported state is the one that List returns. */
/**
 * Earlier changes are reported first, and within a reply credentials before sets, so it waits for the set of a marker.
 */
async function agrees(core: Core, person: Person, watching: WatchingClient): Promise<void> {
  const { credentials, sets } = await core.ask(person, 'List', {});
  const marker = `marker${watching.replies}`;
  await core.create(person.uid === ROOT.uid ? ROOT : person, `cio_${marker}_bucket`);
  const key = `set:${person.uid === ROOT.uid ? marker : `${person.uid}/${marker}`}`;
  while (!watching.sets.has(key)) await watching.nextReply();
  const isMarker = (name: string): boolean => /^(?:cio_)?marker/.test(name);
  assert.deepEqual(
    [...watching.credentials.values()].filter(({ name }) => !isMarker(name)).toSorted(byName),
    credentials
      .filter(({ name }) => !isMarker(name))
      .map(({ name, owner, version, generation }) => ({ name, owner, version, generation }))
      .toSorted(byName),
  );
  const brief = ({ set, owner, ready, missing, generation }: (typeof sets)[number] | WatchedSet): string =>
    JSON.stringify([set, owner, ready, missing, generation]);
  const ofSets = (all: Iterable<(typeof sets)[number] | WatchedSet>): Set<string> =>
    new Set([...all].filter(({ set }) => !isMarker(set)).map(brief));
  assert.deepEqual(ofSets(watching.sets.values()), ofSets(sets));
}

async function changeSomething(core: Core, random: (bound: number) => number): Promise<void> {
  const owner = [ROOT, ALICE][random(2)] ?? ROOT;
  const name = [...AWS, 'cio_s3_x_provider', 'cio_s3_x_bucket', 'token'][random(7)] ?? 'token';
  const grantee = [{ uid: BOB.uid }, { uid: ALICE.uid }, { unit: 'restic.service' }][random(3)] ?? {};
  const target = [name, 'aws', 's3_x'][random(3)] ?? name;
  const method = (['Create', 'Create', 'Create', 'Remove', 'Grant', 'Grant', 'Revoke'] as const)[random(7)] ?? 'Create';
  const value = name.endsWith('_repo')
    ? 's3:https://s3.amazonaws.com/backup-1'
    : name.endsWith('provider')
      ? 's3'
      : 'bucket';
  const parameters = {
    Create: { credentials: [{ name, value }], replace: true },
    Remove: { names: [random(3) === 0 ? 'aws' : name] },
    Grant: { target, grantees: [grantee] },
    Revoke: { target, grantees: [grantee] },
  }[method];
  // Some calls are refused for missing names, which is intended.
  await core.call(owner, method, parameters);
}

function byName(a: { readonly owner: number; readonly name: string }, b: typeof a): number {
  return a.owner - b.owner || (a.name < b.name ? -1 : 1);
}

function randomNumbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    // Numerical Recipes' linear congruential generator: the same changes in every run.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * bound);
  };
}

function fail(): never {
  throw new TypeError('there is a watcher for everybody');
}
