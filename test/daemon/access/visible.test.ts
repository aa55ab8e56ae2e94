import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { visibleCredentials } from '../../../daemon/access/visible.ts';
import type { VisibleOptions } from '../../../daemon/access/visible.ts';
import { FIELD_IDS } from '../../../src/providers/registry.ts';
import { TimeSlice } from '../../../daemon/time-slice.ts';
import { ALICE, BOB, ROOT, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';

async function visible(core: Core, person: Person, options: Partial<VisibleOptions> = {}): Promise<string[]> {
  const wanted = { only: undefined, isEveryone: false, count: { damaged: 0 }, ...options };
  const names: string[] = [];
  for await (const { space, name } of visibleCredentials(
    core.vault,
    core.caller(person),
    wanted,
    sliceOf(core, person),
  ))
    names.push(`${space} ${name}`);
  return names.toSorted();
}

function sliceOf(core: Core, { uid }: Person): TimeSlice {
  return new TimeSlice(core.vault.turns, uid);
}

class CountingSlice extends TimeSlice {
  pauses = 0;

  override pause(): Promise<void> {
    this.pauses += 1;
    return super.pause();
  }
}

describe('visibleCredentials()', () => {
  it('yields each credential once, however often it was granted', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'hidden');
    await core.create(ALICE, 'own');
    for (const target of ['cio_aws_access_key', 'aws']) {
      await core.ask(ROOT, 'Grant', { target, grantees: [{ uid: ALICE.uid }, { gid: ALICE.uid }] });
    }
    assert.deepEqual(await visible(core, ALICE), ['system cio_aws_access_key', 'uid:3001 own']);
    assert.deepEqual(await visible(core, ALICE, { only: 'system' }), ['system cio_aws_access_key']);
  });

  it('does not read every record for an ordinary user, however many there are', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...Array.from({ length: 300 }, (_, index) => `name-${index}`));
    await core.create(ALICE, 'own');
    core.store.reads.length = 0;
    assert.deepEqual(await visible(core, ALICE, { isEveryone: true }), ['uid:3001 own']);
    assert.ok(core.store.reads.every((read) => !read.startsWith('list')));
    assert.ok(core.store.reads.length <= 1);
  });

  it('lets others have turns at every possible field of a granted set, and looks up no field before', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_region', 'cio_minio_region');
    for (const target of ['aws', 'minio']) await core.ask(ROOT, 'Grant', { target, grantees: [{ uid: ALICE.uid }] });
    await core.create(ALICE, 'own');
    const slice = new CountingSlice(core.vault.turns, ALICE.uid);
    const wanted = { only: undefined, isEveryone: false, count: { damaged: 0 } };
    const slow = visibleCredentials(core.vault, core.caller(ALICE), wanted, slice);
    assert.equal((await slow.next()).value?.name, 'own');
    assert.equal(slice.pauses, 1);
    core.store.reads.length = 0;
    const rest: string[] = [];
    for await (const { name } of slow) rest.push(name);
    assert.deepEqual(rest, ['cio_aws_region', 'cio_minio_region']);
    assert.equal(slice.pauses, 1 + 2 * FIELD_IDS.length);
    assert.ok(core.store.reads.length > FIELD_IDS.length);
  });

  for (const grantees of [[{ uid: ALICE.uid }], [{ uid: ALICE.uid }, { gid: ALICE.uid }]]) {
    it(`skips what was revoked by ${grantees.length} of the grants while the caller was slow`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key', 'token', 'other');
      await core.create(ALICE, 'own');
      for (const target of ['aws', 'token', 'other']) await core.ask(ROOT, 'Grant', { target, grantees });
      const wanted = { only: undefined, isEveryone: false, count: { damaged: 0 } };
      const slow = visibleCredentials(core.vault, core.caller(ALICE), wanted, sliceOf(core, ALICE));
      assert.equal((await slow.next()).value?.name, 'own');
      for (const target of ['aws', 'token']) await core.ask(ROOT, 'Revoke', { target, grantees });
      const rest: string[] = [];
      for await (const { name } of slow) rest.push(name);
      assert.deepEqual(rest, ['other']);
    });
  }

  it('yields an administrator everything in one or in all spaces, over many pages', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...Array.from({ length: 600 }, (_, index) => `name-${index}`));
    await core.create(ALICE, 'alices');
    await core.create(BOB, 'bobs');
    assert.equal((await visible(core, ROOT)).length, 600);
    assert.equal((await visible(core, ROOT, { isEveryone: true })).length, 602);
    assert.deepEqual(await visible(core, ROOT, { only: 'uid:3002' }), ['uid:3002 bobs']);
  });
});
