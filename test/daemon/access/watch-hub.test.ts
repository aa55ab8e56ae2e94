import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WATCHED_PER_USER_MAX } from '../../../src/limits.ts';
import { WATCHERS_PER_USER_MAX, WatchHub } from '../../../daemon/access/watch-hub.ts';
import type { Place, Watcher } from '../../../daemon/access/watch-hub.ts';
import { isCredentialError } from '../../../src/errors.ts';
import type { PrincipalId, Space } from '../../../daemon/vault/records.ts';
import { ALICE, BOB, ROOT, restartCore, startCore } from '../core.ts';
import { flipBit, recordsIn } from '../damage.ts';

/** Writes down what it is told. */
class Notebook implements Watcher {
  readonly uid = 3001;
  readonly space: Space | undefined;
  readonly principals: readonly PrincipalId[];
  readonly told: string[] = [];

  constructor(space: Space | undefined, principals: readonly PrincipalId[] = []) {
    this.space = space;
    this.principals = principals;
  }

  onCredential({ space, name }: Place): void {
    this.told.push(`${space} ${name}`);
  }

  onSet({ space, name }: Place): void {
    this.told.push(`${space} set ${name}`);
  }

  onEverything(): void {
    this.told.push('everything');
  }

  onLocked(): void {
    this.told.push('locked');
  }
}

describe('WatchHub', () => {
  it('tells whoever sees it of a change, and nobody else', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const [system, alice] = [new Notebook('system'), new Notebook('uid:3001', ['uid:3001'])];
    const bob = new Notebook('uid:3002', ['uid:3002', 'gid:3002']);
    const leave = [system, alice, bob].map((watcher) => hub.add(watcher));
    await core.keep(ALICE, 'token');
    await core.keep(ROOT, 'cio_aws_access_key');
    assert.deepEqual(
      [system.told, alice.told, bob.told],
      [['system cio_aws_access_key', 'system set aws'], ['uid:3001 token'], []],
    );
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ uid: BOB.uid }] });
    await core.replace(ROOT, 'cio_aws_access_key', 'another');
    const change = ['system cio_aws_access_key', 'system set aws'];
    assert.deepEqual([bob.told, alice.told], [[...change, ...change], ['uid:3001 token']]);
    for (const each of leave) each();
    await core.replace(ROOT, 'cio_aws_access_key', 'third');
    assert.equal(bob.told.length, 4);
  });

  it('tells the only one to whom something was granted', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    await core.keep(ROOT, 'cio_aws_access_key');
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    const alice = new Notebook(undefined, ['uid:3001']);
    hub.add(alice);
    await core.replace(ROOT, 'cio_aws_access_key', 'another');
    assert.deepEqual(alice.told, ['system cio_aws_access_key', 'system set aws']);
  });

  it('tells whoever has left of nothing, while others stay', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const stays = new Notebook('uid:3001', ['uid:3001']);
    hub.add(stays);
    const gone = new Notebook('uid:3001', ['uid:3001']);
    hub.add(gone)();
    await core.keep(ROOT, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    await core.keep(ALICE, 'own');
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(stays.told, ['system token', 'uid:3001 own', 'locked']);
    assert.deepEqual(gone.told, []);
  });

  it('tells everybody of a lock, and that everything may be another after a repair', async (t) => {
    const before = await startCore(t);
    await before.keep(ROOT, 'broken');
    const [tag = ''] = recordsIn(before.storePath, 'credential').keys();
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
    const hub = new WatchHub(core.vault);
    const watcher = new Notebook('uid:3001');
    hub.add(watcher);
    await core.ask(ROOT, 'Fsck', {});
    assert.deepEqual(watcher.told, []);
    await core.ask(ROOT, 'Fsck', { repair: true });
    assert.deepEqual(watcher.told, ['everything']);
    await core.ask(ROOT, 'Rekey', {});
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(watcher.told, ['everything', 'locked']);
  });

  it('takes so many watchers of one user, and another one when one is gone', async (t) => {
    const hub = new WatchHub((await startCore(t)).vault);
    const leave = Array.from({ length: WATCHERS_PER_USER_MAX }, () => hub.add(new Notebook('uid:3001')));
    const isBusy = (error: unknown): boolean => isCredentialError(error, 'Busy');
    assert.throws(() => hub.add(new Notebook('uid:3001')), isBusy);
    leave[0]?.();
    hub.add(new Notebook('uid:3001'));
    assert.throws(() => hub.add(new Notebook('uid:3001')), isBusy);
    hub.add(Object.assign(new Notebook('uid:3002'), { uid: 3002 }));
  });

  it('bounds what the watchers of one user remember together', async (t) => {
    const hub = new WatchHub((await startCore(t)).vault);
    assert.equal(hub.remember(1, WATCHED_PER_USER_MAX), true);
    assert.equal(hub.remember(1, 1), false);
    assert.equal(hub.remember(2, 1), true);
    assert.equal(hub.remember(1, -1), true);
    for (let count = 0; count < WATCHED_PER_USER_MAX; count += 1) assert.ok(hub.remember(3, 1));
    assert.equal(hub.remember(3, 1), false, 'one by one too');
  });
});
