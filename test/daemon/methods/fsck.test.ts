import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Answer, Reply } from '../../../daemon/dispatch.ts';
import { Departure } from '../../../daemon/gone.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { NotInspectedError } from '../../../daemon/store/inspect-pages.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { FsckOut } from '../../../src/protocol/interface.generated.ts';
import { ALICE, BOB, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import type { Core } from '../core.ts';
import { APART, deleteRecord, flipBit, newTags, recordsIn } from '../damage.ts';
import type { KindName } from '../damage.ts';

/** A store in which the record of `broken` of some kind was changed, and one to each side of it was not. */
async function damagedCore(
  t: Parameters<typeof startCore>[0],
  kind: KindName,
  change: typeof flipBit | typeof deleteRecord,
): Promise<Core> {
  const before = await startCore(t);
  await before.keep(ROOT, 'first');
  const records = recordsIn(before.storePath, kind);
  await before.replace(ROOT, 'broken', kind === 'value' ? APART : 'small');
  const [tag = ''] = newTags(records, recordsIn(before.storePath, kind));
  await before.keep(ROOT, 'last');
  return restartCore(t, before, () => change(before.storePath, kind, tag));
}

describe('Fsck', () => {
  it('counts the records and finds nothing wrong with a store that is not', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'a', 'b');
    await core.keep(ALICE, 'c');
    for (const repair of [false, true]) {
      const { records, problems, repaired } = await core.ask(ROOT, 'Fsck', { repair });
      assert.deepEqual([problems, repaired], [[], false]);
      const kinds = ['store', 'slot', 'dataKey', 'principal', 'credential', 'value', 'names'] as const;
      assert.equal(
        records,
        kinds.reduce((sum, kind) => sum + recordsIn(core.storePath, kind).size, 0),
      );
    }
  });

  it('says where nobody could look at the pages, and repairs nothing then', async (t) => {
    const core = await damagedCore(t, 'credential', flipBit);
    const notInspected = new NotInspectedError({ cause: new Error('EAGAIN') });
    const looks = t.mock.method(core.store, 'findPageDamage', () => Promise.reject(notInspected));
    const { problems, repaired } = await core.ask(ROOT, 'Fsck', { repair: true });
    assert.equal(repaired, false);
    assert.equal(problems[0]?.what, 'unchecked');
    assert.match(problems[0].detail, /cannot be started.*nothing is repaired/);
    assert.deepEqual(
      problems.map(({ what }) => what).includes('page'),
      false,
      'nothing is known to be damaged but what was read',
    );
    looks.mock.restore();
    assert.equal((await core.ask(ROOT, 'Fsck', { repair: true })).repaired, true);
    assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
  });

  for (const bytes of [0, 4096]) {
    it(`names the damage where the file was cut to ${bytes} bytes while it is open, and repairs nothing`, async (t) => {
      const core = await startCore(t);
      await core.keep(ROOT, ...Array.from({ length: 50 }, (_, index) => `n${index}`));
      core.store.purge();
      truncateSync(core.storePath, bytes);
      const { problems, repaired } = await core.ask(ROOT, 'Fsck', {});
      assert.deepEqual([new Set(problems.map(({ what }) => what)), repaired], [new Set(['page']), false]);
      assert.deepEqual(await core.refusal(ROOT, 'Fsck', { repair: true }), ['Damaged', {}]);
    });
  }

  it('checks nothing for who left while he waited for his turn; a repair is done all the same', async (t) => {
    const core = await damagedCore(t, 'credential', flipBit);
    const looks = t.mock.method(core.store, 'findPageDamage');
    const { promise: isDone, resolve: end } = Promise.withResolvers<void>();
    const first = core.vault.exclusive(() => isDone);
    const departure = new Departure();
    const ask = async (parameters: object): Promise<Awaited<Answer>> =>
      core.dispatch(core.caller(ROOT), { method: `${INTERFACE_NAME}.Fsck`, parameters }, departure.gone);
    const left = [ask({}), ask({ repair: true })];
    departure.tell();
    end();
    await first;
    const [check, repair] = (await Promise.all(left)) as Reply[];
    assert.equal(check?.error, `${INTERFACE_NAME}.Busy`);
    assert.equal((repair?.parameters as FsckOut | undefined)?.repaired, true);
    assert.equal(looks.mock.callCount(), 1);
  });

  it('ends when who asked has left, and lets writes on; a repair does not', async (t) => {
    const core = await startCore(t);
    for (let part = 0; part < 3; part += 1) {
      await core.keep(ROOT, ...Array.from({ length: 100 }, (_, index) => `n${part}.${index}`));
    }
    const list = core.store.list.bind(core.store);
    const errors: unknown[] = [];
    const readings: number[] = [];
    for (const repair of [false, true]) {
      const departure = new Departure();
      const lists = t.mock.method(core.store, 'list', (...[kind, after, limit]: Parameters<typeof list>) => {
        if (kind === KIND.credential) departure.tell();
        return list(kind, after, limit);
      });
      const call = { method: `${INTERFACE_NAME}.Fsck`, parameters: { repair } };
      errors.push(((await core.dispatch(core.caller(ROOT), call, departure.gone)) as Reply).error);
      readings.push(lists.mock.callCount());
      lists.mock.restore();
    }
    assert.deepEqual(errors, [`${INTERFACE_NAME}.Busy`, undefined]);
    const [ofCheck = 0, ofRepair = 0] = readings;
    assert.ok(ofCheck < ofRepair, `${ofCheck} and ${ofRepair} pages were read`);
    assert.equal(await core.keep(ROOT, 'later'), 4);
  });

  it('is refused to whoever is no administrator, and while the store is locked', async (t) => {
    const core = await startCore(t);
    for (const person of [ALICE, RESTIC]) {
      for (const repair of [false, true]) {
        assert.deepEqual(await core.refusal(person, 'Fsck', { repair }), ['AccessDenied', { right: 'administer' }]);
      }
    }
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Fsck', {}), ['Locked', {}]);
    assert.deepEqual(await core.refusal(ALICE, 'Fsck', {}), ['AccessDenied', { right: 'administer' }]);
  });

  it('names the credential whose value is damaged, and changes nothing without repair', async (t) => {
    const core = await damagedCore(t, 'value', flipBit);
    for (let round = 0; round < 2; round += 1) {
      const { problems, repaired } = await core.ask(ROOT, 'Fsck', {});
      const named = problems.filter(({ name }) => name === 'broken');
      assert.deepEqual(
        named.map(({ what, version }) => [what, version]),
        [['record', 1]],
      );
      assert.equal(repaired, false);
    }
  });

  for (const [kind, change] of [
    ['value', flipBit],
    ['value', deleteRecord],
    ['credential', flipBit],
    ['credential', deleteRecord],
  ] as const) {
    it(`repairs after ${change.name}() of a ${kind}: that one is gone, all others are as they were`, async (t) => {
      const core = await damagedCore(t, kind, change);
      assert.equal((await core.ask(ROOT, 'Fsck', { repair: true })).repaired, true);
      assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
      assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'broken' }), ['NotFound', { name: 'broken' }]);
      for (const name of ['first', 'last']) assert.equal(await core.value(ROOT, name), `value-of-${name}`);
      const { credentials, damaged } = await core.ask(ROOT, 'List', {});
      assert.deepEqual([credentials.length, damaged], [2, 0]);
      assert.equal((await core.ask(ROOT, 'Status', {})).credentials, 2);
      assert.equal(await core.keep(ROOT, 'broken'), 4, 'the generation goes on where it was');
      const again = await restartCore(t, core);
      assert.equal(await again.value(ROOT, 'broken'), 'value-of-broken');
    });
  }

  it('leaves what was granted of a name that it dropped to nobody who was not granted it anew', async (t) => {
    const before = await startCore(t);
    await before.keep(ROOT, 'broken');
    await before.ask(ROOT, 'Grant', { target: 'broken', grantees: [{ uid: ALICE.uid }, { unit: 'restic.service' }] });
    const [tag = ''] = recordsIn(before.storePath, 'credential').keys();
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
    await core.ask(ROOT, 'Fsck', { repair: true });
    await core.keep(ROOT, 'broken');
    for (const person of [ALICE, RESTIC])
      assert.equal((await core.refusal(person, 'Get', { name: 'broken' }))[0], 'NotFound');
  });

  it('takes back no grant of a set that has a field left, and none that a unit waits for', async (t) => {
    const before = await startCore(t);
    await before.keep(ROOT, 'cio_aws_access_key');
    await before.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    await before.ask(ROOT, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service', missing: 'block' }] });
    const records = recordsIn(before.storePath, 'credential');
    await before.keep(ROOT, 'broken');
    const [tag = ''] = newTags(records, recordsIn(before.storePath, 'credential'));
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
    assert.equal((await core.ask(ROOT, 'Fsck', { repair: true })).repaired, true);
    assert.equal(await core.value(ALICE, 'cio_aws_access_key'), 'value-of-cio_aws_access_key');
    await core.keep(ROOT, 'token');
    assert.equal(await core.value(RESTIC, 'token'), 'value-of-token');
  });

  it('lets calls go on: reads at once, writes afterwards', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, ...Array.from({ length: 400 }, (_, index) => `name-${index}`));
    let isDone = false;
    const check = core.ask(ROOT, 'Fsck', {}).finally(() => {
      isDone = true;
    });
    assert.equal(await core.value(BOB, 'none').catch(() => 'answered'), 'answered');
    assert.equal(await core.value(ROOT, 'name-1'), 'value-of-name-1');
    assert.equal(isDone, false);
    assert.equal(await core.keep(ROOT, 'later'), 2);
    assert.equal(isDone, true);
    assert.deepEqual((await check).problems, []);
    assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
  });
});
