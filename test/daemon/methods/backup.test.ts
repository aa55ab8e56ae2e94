import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Reply } from '../../../daemon/dispatch.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import { skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { ALICE, RESTIC, ROOT, startCore } from '../core.ts';
import type { Core } from '../core.ts';
import { leaveRoom, mounting, smallDisk } from '../store/small-disk.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { takeCopy } from './copies.ts';

const CALL = { method: `${INTERFACE_NAME}.Backup`, parameters: {}, more: true };

/** A name and value that must not be found in a copy. */
const CANARY = 'canary-7f3a9c51';

function copyFiles(directory: string): string[] {
  const copies = path.join(directory, 'copies');
  return existsSync(copies) ? readdirSync(copies) : [];
}

/** Starts a daemon with a copy and the key file of the store from which it was made. */
function startOn(scope: Scope, core: Core, bytes: Uint8Array): Promise<Core> {
  const directory = path.join(memoryDirectory(scope), 'state');
  mkdirSync(directory, { mode: 0o700 });
  writeFileSync(path.join(directory, 'credentials.db'), bytes, { mode: 0o600 });
  copyFileSync(path.join(core.directory, 'root.key'), path.join(directory, 'root.key'));
  return startCore(scope, { directory });
}

describe('Backup', () => {
  it('returns a store that opens like the original, and nothing in clear', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: CANARY, value: CANARY });
    await core.create(ALICE, 'cio_aws_access_key');
    await core.ask(ALICE, 'Grant', { target: 'aws', grantees: [{ unit: 'restic.service' }] });
    const { bytes } = await takeCopy(core);
    await core.replace(ROOT, CANARY, 'later');
    assert.ok(!bytes.includes(CANARY));
    const copy = await startOn(t, core, bytes);
    assert.equal(await copy.value(ROOT, CANARY), CANARY);
    assert.equal(await copy.value(RESTIC, 'cio_aws_access_key', ALICE.uid), 'value-of-cio_aws_access_key');
    assert.deepEqual((await copy.ask(ROOT, 'Fsck', {})).problems, []);
    assert.deepEqual(copyFiles(core.directory), []);
  });

  it('comes in one reply if it fits, and says whether it opens elsewhere', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const whole = await core.ask(ROOT, 'Backup', {});
    assert.equal(Buffer.concat(whole.pieces.map((piece) => Buffer.from(piece, 'base64'))).length, whole.size);
    assert.match(whole.sha256 ?? '', /^[0-9a-f]{64}$/);
    assert.equal(whole.opensElsewhere, false);
    await core.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    assert.equal((await takeCopy(core)).opensElsewhere, true);
  });

  it('has the state after one commit, whatever is written and read meanwhile', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: 800 }, (_, index) => `name-${index}`);
    await core.create(ROOT, ...names);
    const backup = takeCopy(core);
    for (let round = 0; round < 20; round += 1) {
      await core.ask(ROOT, 'Create', {
        credentials: ['name-0', 'name-799'].map((name) => ({ name, value: `round ${round}` })),
        replace: true,
      });
    }
    const { bytes } = await backup;
    const copy = await startOn(t, core, bytes);
    assert.deepEqual((await copy.ask(ROOT, 'Fsck', {})).problems, []);
    const first = await copy.value(ROOT, 'name-0');
    const last = await copy.value(ROOT, 'name-799');
    assert.equal(first?.replace('value-of-name-0', ''), last?.replace('value-of-name-799', ''));
  });

  it('is Busy while two others are in progress, and free again once one is abandoned', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: 'large', data: Buffer.alloc(600_000, 7).toString('base64') });
    const slow = [0, 1].map(() => core.dispatch(core.caller(ROOT), CALL) as AsyncGenerator<Reply>);
    for (const answer of slow) assert.equal(((await answer.next()).value as Reply).continues, true);
    assert.deepEqual(await core.refusal(ROOT, 'Backup', {}), ['Busy', {}]);
    await slow[0]?.return(undefined);
    assert.equal(copyFiles(core.directory).length, 1);
    await takeCopy(core);
    await slow[1]?.return(undefined);
    assert.deepEqual(copyFiles(core.directory), []);
  });

  it('ends after an hour for a caller that takes a piece only now and then', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: 'large', data: Buffer.alloc(600_000, 7).toString('base64') });
    let hours = 0;
    const now = performance.now.bind(performance);
    t.mock.method(performance, 'now', () => now() + hours * 3_600_000);
    const answer = core.dispatch(core.caller(ROOT), CALL) as AsyncGenerator<Reply>;
    for (hours = 0; hours < 0.9; hours += 0.3) {
      assert.equal(((await answer.next()).value as Reply).error, undefined);
    }
    hours = 1.1;
    assert.equal(((await answer.next()).value as Reply).error, `${INTERFACE_NAME}.TimedOut`);
    assert.deepEqual(copyFiles(core.directory), []);
  });

  it('leaves free space for other writes to the disk', { skip: skipUnless(mounting) }, async (t) => {
    const disk = smallDisk(t, 8192);
    const core = await startCore(t, { directory: path.join(disk, 'state') });
    await core.create(ROOT, { name: 'large', data: Buffer.alloc(500_000, 7).toString('base64') });
    core.store.purge();
    // The copy itself would fit, but leave next to no space.
    leaveRoom(disk, core.store.copyBytes() + 100_000);
    assert.deepEqual(await core.refusal(ROOT, 'Backup', {}), ['StorageFull', {}]);
    leaveRoom(disk, core.store.copyBytes() + 1_000_000);
    await takeCopy(core);
  });

  it('counts the space that another copy will take', { skip: skipUnless(mounting) }, async (t) => {
    const disk = smallDisk(t, 8192);
    const core = await startCore(t, { directory: path.join(disk, 'state') });
    await core.create(ROOT, { name: 'large', data: Buffer.alloc(500_000, 7).toString('base64') });
    core.store.purge();
    // Two copies would fit as well, but leave too little space.
    leaveRoom(disk, 2 * core.store.copyBytes() + 200_000);
    const [first, second] = await Promise.all([takeCopy(core), core.refusal(ROOT, 'Backup', {})]);
    assert.ok(first.bytes.length > 500_000);
    assert.deepEqual(second, ['StorageFull', {}]);
    await takeCopy(core);
    assert.deepEqual(copyFiles(core.directory), []);
  });

  it('works while the store is locked, for administrators only', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await core.ask(ROOT, 'Lock', {});
    assert.ok((await takeCopy(core)).bytes.length > 0);
    for (const person of [ALICE, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'Backup', {}), ['AccessDenied', { right: 'administer' }]);
    }
  });

  it('is StorageFull on a full disk, and leaves no file there', { skip: skipUnless(mounting) }, async (t) => {
    const disk = smallDisk(t, 2048);
    const core = await startCore(t, { directory: path.join(disk, 'state') });
    await core.create(ROOT, { name: 'large', data: Buffer.alloc(500_000, 7).toString('base64') });
    // After the WAL is emptied, there is less free space than the size of the store.
    core.store.purge();
    leaveRoom(disk, 300_000);
    assert.deepEqual(await core.refusal(ROOT, 'Backup', {}), ['StorageFull', {}]);
    assert.deepEqual(copyFiles(core.directory), []);
    assert.equal((await core.value(ROOT, 'large'))?.length, 500_000);
  });
});
