import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WATCHED_PER_USER_MAX } from '../../../src/limits.ts';
import { WATCHERS_PER_USER_MAX, WatchHub } from '../../../daemon/access/watch-hub.ts';
import type { Place, Watcher } from '../../../daemon/access/watch-hub.ts';
import { isCredentialError } from '../../../src/errors.ts';
import type { PrincipalId, Space } from '../../../daemon/vault/records.ts';
import { ALICE, BOB, ROOT, restartCore, startCore } from '../core.ts';
import { flipBit, recordsIn } from '../damage.ts';

/** Records all notifications. */
class RecordingWatcher implements Watcher {
  readonly uid = 3001;
  readonly space: Space | undefined;
  readonly principals: readonly PrincipalId[];
  readonly notified: string[] = [];

  constructor(space: Space | undefined, principals: readonly PrincipalId[] = []) {
    this.space = space;
    this.principals = principals;
  }

  onCredential({ space, name }: Place): void {
    this.notified.push(`${space} ${name}`);
  }

  onSet({ space, name }: Place): void {
    this.notified.push(`${space} set ${name}`);
  }

  onEverything(): void {
    this.notified.push('everything');
  }

  onLocked(): void {
    this.notified.push('locked');
  }
}

describe('WatchHub', () => {
  it('notifies those who can see the changed credential, and nobody else', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const [system, alice] = [new RecordingWatcher('system'), new RecordingWatcher('uid:3001', ['uid:3001'])];
    const bob = new RecordingWatcher('uid:3002', ['uid:3002', 'gid:3002']);
    const leave = [system, alice, bob].map((watcher) => hub.add(watcher));
    await core.create(ALICE, 'token');
    await core.create(ROOT, 'cio_aws_access_key');
    assert.deepEqual(
      [system.notified, alice.notified, bob.notified],
      [['system cio_aws_access_key', 'system set aws'], ['uid:3001 token'], []],
    );
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ uid: BOB.uid }] });
    await core.replace(ROOT, 'cio_aws_access_key', 'another');
    const change = ['system cio_aws_access_key', 'system set aws'];
    assert.deepEqual([bob.notified, alice.notified], [[...change, ...change], ['uid:3001 token']]);
    for (const each of leave) each();
    await core.replace(ROOT, 'cio_aws_access_key', 'third');
    assert.equal(bob.notified.length, 4);
  });

  it('notifies the only grantee', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    await core.create(ROOT, 'cio_aws_access_key');
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    const alice = new RecordingWatcher(undefined, ['uid:3001']);
    hub.add(alice);
    await core.replace(ROOT, 'cio_aws_access_key', 'another');
    assert.deepEqual(alice.notified, ['system cio_aws_access_key', 'system set aws']);
  });

  it('notifies a watcher of nothing after it has left, while others stay', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const stays = new RecordingWatcher('uid:3001', ['uid:3001']);
    hub.add(stays);
    const gone = new RecordingWatcher('uid:3001', ['uid:3001']);
    hub.add(gone)();
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Grant', { target: 'token', grantees: [{ uid: ALICE.uid }] });
    await core.create(ALICE, 'own');
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(stays.notified, ['system token', 'uid:3001 own', 'locked']);
    assert.deepEqual(gone.notified, []);
  });

  it('notifies everybody of a lock, and that anything may have changed after a repair', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'broken');
    const [tag = ''] = recordsIn(before.storePath, 'credential').keys();
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
    const hub = new WatchHub(core.vault);
    const watcher = new RecordingWatcher('uid:3001');
    hub.add(watcher);
    await core.ask(ROOT, 'Fsck', {});
    assert.deepEqual(watcher.notified, []);
    await core.ask(ROOT, 'Fsck', { repair: true });
    assert.deepEqual(watcher.notified, ['everything']);
    await core.ask(ROOT, 'Rekey', {});
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(watcher.notified, ['everything', 'locked']);
  });

  it('limits the watchers of one user, and accepts another when one has left', async (t) => {
    const hub = new WatchHub((await startCore(t)).vault);
    const leave = Array.from({ length: WATCHERS_PER_USER_MAX }, () => hub.add(new RecordingWatcher('uid:3001')));
    const isBusy = (error: unknown): boolean => isCredentialError(error, 'Busy');
    assert.throws(() => hub.add(new RecordingWatcher('uid:3001')), isBusy);
    leave[0]?.();
    hub.add(new RecordingWatcher('uid:3001'));
    assert.throws(() => hub.add(new RecordingWatcher('uid:3001')), isBusy);
    hub.add(Object.assign(new RecordingWatcher('uid:3002'), { uid: 3002 }));
  });

  it('limits how much the watchers of one user remember together', async (t) => {
    const hub = new WatchHub((await startCore(t)).vault);
    assert.equal(hub.remember(1, WATCHED_PER_USER_MAX), true);
    assert.equal(hub.remember(1, 1), false);
    assert.equal(hub.remember(2, 1), true);
    assert.equal(hub.remember(1, -1), true);
    for (let count = 0; count < WATCHED_PER_USER_MAX; count += 1) assert.ok(hub.remember(3, 1));
    assert.equal(hub.remember(3, 1), false, 'one by one too');
  });
});
