import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { AT_ONCE_BYTES_MAX } from '../../../daemon/methods/read-in-turn.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { ALICE, RESTIC, ROOT, START_TIME, restartCore, startCore } from '../core.ts';
import type { Core } from '../core.ts';
import { flipBit, newTags, recordsIn } from '../damage.ts';
import { assertWhole, coreWithCopy, restore, takeCopy, upload } from './copies.ts';

const BLOCKED = { unit: 'restic.service', missing: 'block' } as const;

describe('Restore', () => {
  it('restores everything as in the copy: values, grants, versions, existing and missing credentials', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const seen: unknown[] = [];
    t.after(core.vault.watch((change) => void seen.push(change)));
    const report = await restore(core, bytes);
    assert.deepEqual(
      [report.sameStore, report.credentials, report.changed, report.opensByItself],
      [true, 3, START_TIME, true],
    );
    assert.ok((report.storeCommits ?? 0) > report.commits);
    assert.deepEqual(seen, [undefined], 'whoever waits looks again');
    for (const now of [core, await restartCore(t, core)]) {
      if (now === core && core.vault.isLocked) continue;
      assert.equal(await now.value(ROOT, 'token').catch(() => 'closed'), now === core ? 'closed' : 'old');
      if (now === core) continue;
      assert.equal(await now.value(ROOT, 'gone-later'), 'value-of-gone-later');
      assert.deepEqual(await now.refusal(ROOT, 'Get', { name: 'made-later' }), ['NotFound', { name: 'made-later' }]);
      assert.equal(await now.value(RESTIC, 'cio_aws_access_key', ALICE.uid), 'value-of-cio_aws_access_key');
      assert.equal((await now.ask(ROOT, 'History', { name: 'token' })).versions.length, 1);
      await assertWhole(now);
      await now.replace(ROOT, 'token', 'goes on');
    }
  });

  it('gives no generation a second time, so that nobody mistakes new contents for known ones', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: 'token', value: 'first' });
    const { bytes } = await takeCopy(core);
    const told = await core.replace(ROOT, 'token', 'told');
    const own = await core.create(ALICE, 'made-later');
    const { generation: before } = await core.ask(ROOT, 'Status', {});
    await restore(core, bytes);
    const { generation: after } = await core.ask(ROOT, 'Status', {});
    assert.ok(Number(after) > Number(before), 'the restore itself is a change');
    assert.ok((await core.replace(ROOT, 'token', 'another')) > told);
    assert.ok((await core.create(ALICE, 'made-anew')) > own);
    await assertWhole(core);
    const refused = { names: ['token'], ifGeneration: told };
    assert.equal((await core.refusal(ROOT, 'Remove', refused))[0], 'Conflict');
    const again = await restartCore(t, core);
    assert.equal(await again.value(ROOT, 'token'), 'another');
    await assertWhole(again);
  });

  it('is a Conflict for a caller with a generation that was lost in the restore, and for nobody else', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, { name: 'token', value: 'first' });
    const { bytes } = await takeCopy(core);
    const takenBack = await core.replace(ROOT, 'token', 'second');
    await restore(core, bytes);
    const credentials = [{ name: 'token', value: 'third' }];
    const refusal = await core.refusal(ROOT, 'Create', { credentials, replace: true, ifGeneration: takenBack });
    assert.deepEqual(refusal, ['Conflict', { expected: takenBack, actual: seen }]);
    await core.ask(ROOT, 'Create', { credentials, replace: true, ifGeneration: seen });
    const { generation } = await core.ask(ROOT, 'Get', { name: 'token' });
    await core.ask(ROOT, 'Remove', { names: ['token'], ifGeneration: generation });
  });

  it('is a Conflict, too, if it is repeated after a failure', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, { name: 'token', value: 'first' });
    const { bytes } = await takeCopy(core);
    const takenBack = [await core.replace(ROOT, 'token', 'second')];
    const begin = t.mock.method(core.store, 'begin', () => {
      throw new StoreError('full', 'the disk is full');
    });
    const call = await upload(core, bytes);
    assert.deepEqual(await core.refusal(ROOT, 'Restore', call), ['StorageFull', {}]);
    begin.mock.restore();
    takenBack.push(await core.replace(ROOT, 'token', 'third'));
    assert.deepEqual(await core.refusal(ROOT, 'Restore', call), ['BadCopy', { reason: 'gone' }]);
    assert.equal(await core.value(ROOT, 'token'), 'third');
    await restore(core, bytes);
    for (const expected of takenBack) {
      const refused = { names: ['token'], ifGeneration: expected };
      assert.deepEqual(await core.refusal(ROOT, 'Remove', refused), ['Conflict', { expected, actual: seen }]);
    }
  });

  it('remains a Conflict after a later restore of a newer copy, a repair and a rekey', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, { name: 'token', value: 'first' });
    const before = recordsIn(core.storePath, 'credential');
    await core.create(ROOT, 'damaged');
    const [damaged = ''] = newTags(before, recordsIn(core.storePath, 'credential'));
    const { bytes: first } = await takeCopy(core);
    const takenBack = [await core.replace(ROOT, 'token', 'second'), await core.replace(ROOT, 'token', 'third')];
    await restore(core, first);
    const { bytes: second } = await takeCopy(core);
    takenBack.push(await core.create(ROOT, 'other'));
    await restore(core, second);
    const assertConflicts = async (now: Core): Promise<void> => {
      for (const expected of takenBack) {
        const change = { credentials: [{ name: 'token', value: 'fourth' }], replace: true, ifGeneration: expected };
        assert.deepEqual(await now.refusal(ROOT, 'Create', change), ['Conflict', { expected, actual: seen }]);
      }
    };
    await assertConflicts(core);
    const again = await restartCore(t, core, () => flipBit(core.storePath, 'credential', damaged));
    assert.ok((await again.ask(ROOT, 'Fsck', { repair: true })).repaired);
    await again.ask(ROOT, 'Rekey', {});
    await assertConflicts(again);
  });

  it('is no longer a Conflict for generations that were lost in a restore that was undone', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', 'other');
    const { bytes } = await takeCopy(core);
    const token = await core.replace(ROOT, 'token', 'second');
    const latest = await core.replace(ROOT, 'other', 'second');
    const { kept } = await restore(core, bytes);
    const change = { credentials: [{ name: 'token', value: 'third' }], replace: true, ifGeneration: latest };
    assert.equal((await core.refusal(ROOT, 'Create', change))[0], 'Conflict');
    await restore(core, fs.readFileSync(kept ?? ''));
    assert.equal((await core.ask(ROOT, 'Get', { name: 'token' })).generation, token);
    await core.ask(ROOT, 'Create', change);
  });

  for (const [what, others] of [
    ['behind', 2],
    ['ahead of', 5],
  ] as const) {
    it(`is a Conflict for generations of the replaced store if the other store was ${what} it, for good`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'earlier');
      const expected = await core.create(ROOT, { name: 'token', value: 'of the store' });
      for (const name of ['a', 'b']) await core.create(ROOT, name);
      const other = await startCore(t);
      const actual = await other.create(ROOT, { name: 'token', value: 'of the other store' });
      for (let index = 0; index < others; index += 1) await other.create(ROOT, `other-${index}`);
      await other.ask(ROOT, 'AddSlot', { kind: 'passphrase', passphrase: 'open sesame' });
      await restore(core, (await takeCopy(other)).bytes, { passphrase: 'open sesame' });
      const change = { credentials: [{ name: 'token', value: 'newer' }], replace: true };
      const assertConflict = async (): Promise<void> => {
        const refusal = await core.refusal(ROOT, 'Create', { ...change, ifGeneration: expected });
        assert.deepEqual(refusal, ['Conflict', { expected, actual }]);
      };
      await assertConflict();
      const { bytes } = await takeCopy(core);
      await core.create(ROOT, 'later');
      await restore(core, bytes);
      await assertConflict();
      const { generation } = await core.ask(ROOT, 'Get', { name: 'token' });
      await core.ask(ROOT, 'Create', { ...change, ifGeneration: generation });
    });
  }

  for (const [what, change] of [
    ['Remove', (core, uuid) => core.refusal(ROOT, 'Remove', { names: [uuid] })],
    ['Rollback', (core, uuid) => core.refusal(ROOT, 'Rollback', { target: uuid })],
    ['Grant', (core, uuid) => core.refusal(ROOT, 'Grant', { target: uuid, grantees: [BLOCKED] })],
    ['Revoke', (core, uuid) => core.refusal(ROOT, 'Revoke', { target: uuid, grantees: [BLOCKED] })],
  ] as readonly (readonly [string, (core: Core, uuid: string) => Promise<readonly [string, object]>])[]) {
    it(`keeps a waiting ${what} by UUID from reaching the set of that name in another store`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'cio_aws_access_key');
      const [set] = (await core.ask(ROOT, 'List', {})).sets;
      const other = await startCore(t);
      await other.create(ROOT, { name: 'cio_aws_access_key', value: 'older' });
      await other.replace(ROOT, 'cio_aws_access_key', 'newer');
      await other.ask(ROOT, 'Grant', { target: 'aws', grantees: [BLOCKED] });
      const { recoveryCode } = await other.ask(ROOT, 'AddSlot', { kind: 'recovery' });
      const copy = await upload(core, (await takeCopy(other)).bytes);
      const before = await other.ask(ROOT, 'List', {});
      const restoring = core.ask(ROOT, 'Restore', { ...copy, recoveryCode: recoveryCode ?? null });
      while (!core.vault.isExclusive) await nextTurn();
      const changing = change(core, set?.uuid ?? assert.fail('no set'));
      assert.equal((await restoring).sameStore, false);
      assert.deepEqual(await changing, ['Busy', {}]);
      assert.deepEqual(await core.ask(ROOT, 'List', {}), before);
    });
  }

  it('keeps a waiting GetSet by UUID from answering with the set of that name in another store', async (t) => {
    const [core, other] = [await startCore(t), await startCore(t)];
    const large = 'x'.repeat(AT_ONCE_BYTES_MAX + 1);
    await core.create(ROOT, { name: 'cio_aws_secret_key', value: large });
    const [set] = (await core.ask(ROOT, 'List', {})).sets;
    await other.create(ROOT, { name: 'cio_aws_secret_key', value: large });
    const { recoveryCode } = await other.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    const copy = await upload(core, (await takeCopy(other)).bytes);
    const { vault } = core;
    const [read, next] = [vault.read.bind(vault), vault.turns.next.bind(vault.turns)];
    let isTooLarge = false;
    t.mock.method(vault, 'read', (work: Parameters<typeof read>[0]) => {
      const result = read(work);
      isTooLarge = result === undefined;
      return result;
    });
    t.mock.method(vault.turns, 'next', async (uid: number | undefined) => {
      if (isTooLarge) await core.ask(ROOT, 'Restore', { ...copy, recoveryCode: recoveryCode ?? null });
      await next(uid);
    });
    const asked = { set: set?.uuid ?? assert.fail('no set'), allowIncomplete: true };
    assert.deepEqual(await core.refusal(ROOT, 'GetSet', asked), ['Busy', {}]);
  });

  it('does not unlock a store that was locked while the copy was checked', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const copy = await upload(core, bytes);
    const restoring = core.refusal(ROOT, 'Restore', copy);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await restoring, ['Locked', {}]);
    assert.equal(core.vault.isLocked, true);
    await core.ask(ROOT, 'Unlock', {});
    assert.equal(await core.value(ROOT, 'token'), 'new');
    await assertWhole(core);
  });

  it('gives no generation a second time if the store was locked and the copy unlocks it', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: 'token', value: 'first' });
    const { bytes } = await takeCopy(core);
    const told = await core.replace(ROOT, 'token', 'told');
    const own = await core.create(ALICE, 'made-later');
    await core.ask(ROOT, 'Rekey', {});
    await core.ask(ROOT, 'Lock', {});
    await restore(core, bytes);
    assert.equal(await core.value(ROOT, 'token'), 'first');
    assert.ok((await core.replace(ROOT, 'token', 'another')) > told);
    assert.ok((await core.create(ALICE, 'made-anew')) > own);
    await assertWhole(core);
  });

  it('keeps the previous contents, which can be restored in turn', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const { kept = '' } = await restore(core, bytes);
    assert.equal(await core.value(ROOT, 'token'), 'old');
    assert.equal(kept, path.join(core.directory, 'credentials.db.before-restore'));
    assert.equal(fs.statSync(kept ?? '').mode & 0o777, 0o600);
    await restore(core, fs.readFileSync(kept ?? ''));
    assert.equal(await core.value(ROOT, 'token'), 'new');
    assert.equal(await core.value(ROOT, 'made-later'), 'value-of-made-later');
    await assertWhole(core);
    assert.deepEqual(fs.readdirSync(path.join(core.directory, 'copies')), []);
  });

  it('only reports on the copy with checkOnly, and can be called again with the same upload', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const call = await upload(core, bytes);
    for (let round = 0; round < 2; round += 1) {
      const report = await core.ask(ROOT, 'Restore', { ...call, checkOnly: true });
      assert.deepEqual([report.kept, report.credentials], [undefined, 3]);
      assert.equal(await core.value(ROOT, 'token'), 'new');
    }
    await core.ask(ROOT, 'Restore', call);
    assert.equal(await core.value(ROOT, 'token'), 'old');
    assert.deepEqual(await core.refusal(ROOT, 'Restore', call), ['BadCopy', { reason: 'gone' }]);
  });

  it("accepts another host's copy with its recovery code or passphrase, and with nothing else", async (t) => {
    const first = await startCore(t);
    await first.create(ROOT, { name: 'token', value: 'of the first host' });
    const { recoveryCode = '' } = await first.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    await first.ask(ROOT, 'AddSlot', { kind: 'passphrase', passphrase: 'open sesame' });
    const { bytes } = await takeCopy(first);
    const second = await startCore(t);
    await second.create(ROOT, { name: 'token', value: 'of the second host' });
    const call = await upload(second, bytes);
    const wrong: readonly (readonly [object, string])[] = [
      [{}, 'wrong_secret'],
      [{ passphrase: 'wrong' }, 'wrong_secret'],
      [{ recoveryCode: 'ABC' }, 'bad_code'],
    ];
    for (const [secret, reason] of wrong) {
      assert.deepEqual(await second.refusal(ROOT, 'Restore', { ...call, ...secret }), ['UnlockFailed', { reason }]);
      assert.equal(await second.value(ROOT, 'token'), 'of the second host');
    }
    const both = { ...call, passphrase: 'a', recoveryCode: 'b' };
    assert.equal((await second.refusal(ROOT, 'Restore', both))[0], 'InvalidValue');
    const told = await second.ask(ROOT, 'Restore', { ...call, passphrase: 'open sesame', checkOnly: true });
    assert.deepEqual([told.sameStore, told.opensByItself, told.credentials], [false, false, 1]);
    await second.ask(ROOT, 'Restore', { ...call, recoveryCode: recoveryCode ?? '' });
    assert.equal(await second.value(ROOT, 'token'), 'of the first host');
    assert.equal((await second.ask(ROOT, 'Status', {})).storeId, told.storeId);
    assert.deepEqual(second.vault.storeId, first.vault.storeId);
    await assertWhole(second);
    // A slot that opens the store unattended at the next start.
    await second.ask(ROOT, 'AddSlot', { kind: 'keyfile', path: path.join(second.directory, 'second.key') });
    const again = await restartCore(t, second);
    assert.equal(await again.value(ROOT, 'token'), 'of the first host');
  });

  it('requires the given secret to open the copy, even if a key of this host opens it as well', async (t) => {
    const core = await startCore(t);
    const { recoveryCode = '' } = await core.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    await core.ask(ROOT, 'AddSlot', { kind: 'passphrase', passphrase: 'open sesame' });
    const call = { ...(await upload(core, (await takeCopy(core)).bytes)), checkOnly: true };
    const { recoveryCode: later = '' } = await core.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    const wrong: readonly (readonly [object, string])[] = [
      [{ passphrase: 'wrong' }, 'wrong_secret'],
      [{ recoveryCode: later }, 'wrong_secret'],
      [{ recoveryCode: 'ABC' }, 'bad_code'],
    ];
    for (const [secret, reason] of wrong) {
      assert.deepEqual(await core.refusal(ROOT, 'Restore', { ...call, ...secret }), ['UnlockFailed', { reason }]);
    }
    for (const secret of [{}, { passphrase: 'open sesame' }, { recoveryCode: recoveryCode ?? '' }]) {
      assert.equal((await core.ask(ROOT, 'Restore', { ...call, ...secret })).opensByItself, true);
    }
  });

  it('releases the keys of an open copy if the given secret does not open it', async (t) => {
    const core = await startCore(t);
    const call = { ...(await upload(core, (await takeCopy(core)).bytes)), checkOnly: true };
    // Its pages are inspected only once.
    await core.ask(ROOT, 'Restore', call);
    // There is room for 128 keys, and an open copy holds four or more.
    for (let index = 0; index < 40; index += 1) {
      const refusal = await core.refusal(ROOT, 'Restore', { ...call, recoveryCode: 'ABC' });
      assert.deepEqual(refusal, ['UnlockFailed', { reason: 'bad_code' }], String(index));
    }
  });

  it('refuses a slot that was requested before the contents were replaced', async (t) => {
    const { core } = await coreWithCopy(t);
    const other = await startCore(t);
    const { recoveryCode = '' } = await other.ask(ROOT, 'AddSlot', { kind: 'recovery' });
    const call = { ...(await upload(core, (await takeCopy(other)).bytes)), recoveryCode: recoveryCode ?? '' };
    await core.ask(ROOT, 'Restore', { ...call, checkOnly: true });
    // A passphrase takes about as long as everything else.
    let slot = core.call(ROOT, 'AddSlot', { kind: 'passphrase', passphrase: 'of the old store' });
    await core.ask(ROOT, 'Restore', call);
    assert.deepEqual((await slot).error, 'io.cio.Credentials.Busy');
    slot = core.call(ROOT, 'AddSlot', { kind: 'passphrase', passphrase: 'of the new store' });
    assert.equal((await slot).error, undefined);
    await assertWhole(core);
  });

  it('unlocks a locked store with the copy', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    await core.ask(ROOT, 'Lock', {});
    const { storeCommits } = await restore(core, bytes);
    assert.equal(storeCommits, undefined);
    assert.equal(await core.value(ROOT, 'token'), 'old');
  });

  it('does not block reads, makes writes wait, and never shows a mixture in a list', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: 700 }, (_, index) => `name-${String(index).padStart(3, '0')}`);
    const oldGeneration = await core.create(ROOT, ...names);
    const { bytes } = await takeCopy(core);
    await core.ask(ROOT, 'Remove', { names });
    const newGeneration = await core.create(ROOT, ...names.map((name) => ({ name, value: `new-${name}` })));
    const call = await upload(core, bytes);
    const state = { isDone: false };
    const running = core.ask(ROOT, 'Restore', call).finally(() => {
      state.isDone = true;
    });
    const values = new Set<string>();
    let write: Promise<number> | undefined;
    while (!state.isDone) {
      const pair = [await core.value(ROOT, 'name-000'), await core.value(ROOT, 'name-699')];
      values.add(pair.map((value) => value?.slice(0, 3)).join());
      const listed = await core.call(ROOT, 'List', {});
      const error = listed.error?.replace(/.*\./, '');
      if (error === undefined) {
        const { credentials } = listed.parameters as { credentials: { generation: number }[] };
        const generations = new Set(credentials.map(({ generation }) => generation));
        assert.ok(!(generations.has(oldGeneration) && generations.has(newGeneration)), 'a mixture');
      } else {
        assert.equal(error, 'Busy');
      }
      write ??= core.replace(ROOT, 'name-007', 'written meanwhile');
      await wait(1);
    }
    await running;
    await write;
    assert.ok(
      [...values].every((pair) => pair === 'new,new' || pair === 'val,val'),
      [...values].join(' '),
    );
    assert.equal(await core.value(ROOT, 'name-699'), 'value-of-name-699');
    // The write was committed either before or after the replacement.
    assert.match((await core.value(ROOT, 'name-007')) ?? '', /^(?:written meanwhile|value-of-name-007)$/);
    await assertWhole(core);
  });

  it('is for administrators, one at a time', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const call = await upload(core, bytes);
    const refused = ['AccessDenied', { right: 'administer' }];
    for (const person of [ALICE, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'UploadCopy', { piece: '' }), refused);
      assert.deepEqual(await core.refusal(person, 'Restore', call), refused);
    }
    assert.deepEqual(await core.refusal(ROOT, 'UploadCopy', { piece: '' }), ['Busy', {}], 'another one was just sent');
    const first = core.ask(ROOT, 'Restore', call);
    assert.deepEqual(await core.refusal(ROOT, 'Restore', call), ['Busy', {}]);
    assert.deepEqual(await core.refusal(ROOT, 'UploadCopy', { upload: call.upload, piece: '' }), ['Busy', {}]);
    await first;
    // A finished restore does not block another one.
    await core.ask(ROOT, 'Restore', { ...(await upload(core, bytes)), checkOnly: true });
    await core.ask(ROOT, 'Restore', await upload(core, bytes));
  });
});
