import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Answer, Reply } from '../../../daemon/dispatch.ts';
import { Emitter } from '../../../daemon/emitter.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { NotInspectedError } from '../../../daemon/store/inspect-pages.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { FsckOut } from '../../../src/protocol/interface.generated.ts';
import { ALICE, BOB, RESTIC, ROOT, restartCore, startCore } from '../core.ts';
import { coreWithDamage, deleteRecord, flipBit, newTags, recordsIn } from '../damage.ts';

describe('Fsck', () => {
  it('counts the records, and finds no problem in an intact store', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a', 'b');
    await core.create(ALICE, 'c');
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

  it('reports that the pages could not be inspected, and repairs nothing then', async (t) => {
    const core = await coreWithDamage(t, 'credential', flipBit);
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
    it(`reports damage if the file was truncated to ${bytes} bytes while open, and repairs nothing`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, ...Array.from({ length: 50 }, (_, index) => `n${index}`));
      core.store.purge();
      truncateSync(core.storePath, bytes);
      const { problems, repaired } = await core.ask(ROOT, 'Fsck', {});
      assert.deepEqual([new Set(problems.map(({ what }) => what)), repaired], [new Set(['page']), false]);
      assert.deepEqual(await core.refusal(ROOT, 'Fsck', { repair: true }), ['Damaged', {}]);
    });
  }

  it('skips a check whose caller left while waiting, but not a repair', async (t) => {
    const core = await coreWithDamage(t, 'credential', flipBit);
    const looks = t.mock.method(core.store, 'findPageDamage');
    const { promise: isDone, resolve: end } = Promise.withResolvers<void>();
    const first = core.vault.exclusive(() => isDone);
    const callerGone = new Emitter();
    const ask = async (parameters: object): Promise<Awaited<Answer>> =>
      core.dispatch(core.caller(ROOT), { method: `${INTERFACE_NAME}.Fsck`, parameters }, callerGone.subscribe);
    const left = [ask({}), ask({ repair: true })];
    callerGone.fire();
    end();
    await first;
    const [check, repair] = (await Promise.all(left)) as Reply[];
    assert.equal(check?.error, `${INTERFACE_NAME}.Busy`);
    assert.equal((repair?.parameters as FsckOut | undefined)?.repaired, true);
    // The repair reads everything twice before it believes the damage.
    assert.equal(looks.mock.callCount(), 2);
  });

  it('ends a check, but not a repair, when the caller leaves, and lets writes go on', async (t) => {
    const core = await startCore(t);
    for (let part = 0; part < 3; part += 1) {
      await core.create(ROOT, ...Array.from({ length: 100 }, (_, index) => `n${part}.${index}`));
    }
    const list = core.store.list.bind(core.store);
    const errors: unknown[] = [];
    const readings: number[] = [];
    for (const repair of [false, true]) {
      const callerGone = new Emitter();
      const lists = t.mock.method(core.store, 'list', (...[kind, after, limit]: Parameters<typeof list>) => {
        if (kind === KIND.credential) callerGone.fire();
        return list(kind, after, limit);
      });
      const call = { method: `${INTERFACE_NAME}.Fsck`, parameters: { repair } };
      errors.push(((await core.dispatch(core.caller(ROOT), call, callerGone.subscribe)) as Reply).error);
      readings.push(lists.mock.callCount());
      lists.mock.restore();
    }
    assert.deepEqual(errors, [`${INTERFACE_NAME}.Busy`, undefined]);
    const [ofCheck = 0, ofRepair = 0] = readings;
    assert.ok(ofCheck < ofRepair, `${ofCheck} and ${ofRepair} pages were read`);
    assert.equal(await core.create(ROOT, 'later'), 4);
  });

  it('is refused to anyone but administrators, and while the store is locked', async (t) => {
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

  it('names the credential with a damaged value, and changes nothing without repair', async (t) => {
    const core = await coreWithDamage(t, 'value', flipBit);
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
    it(`repairs after ${change.name}() of a ${kind}: drops that credential and keeps all others`, async (t) => {
      const core = await coreWithDamage(t, kind, change);
      assert.equal((await core.ask(ROOT, 'Fsck', { repair: true })).repaired, true);
      assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
      assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'broken' }), ['NotFound', { name: 'broken' }]);
      for (const name of ['first', 'last']) assert.equal(await core.value(ROOT, name), `value-of-${name}`);
      const { credentials, damaged } = await core.ask(ROOT, 'List', {});
      assert.deepEqual([credentials.length, damaged], [2, 0]);
      assert.equal((await core.ask(ROOT, 'Status', {})).credentials, 2);
      assert.equal(await core.create(ROOT, 'broken'), 4, 'the generation goes on where it was');
      const again = await restartCore(t, core);
      assert.equal(await again.value(ROOT, 'broken'), 'value-of-broken');
    });
  }

  it('drops the grants of a dropped name, so that a new credential of that name has none', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'broken');
    await before.ask(ROOT, 'Grant', { target: 'broken', grantees: [{ uid: ALICE.uid }, { unit: 'restic.service' }] });
    const [tag = ''] = recordsIn(before.storePath, 'credential').keys();
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
    await core.ask(ROOT, 'Fsck', { repair: true });
    await core.create(ROOT, 'broken');
    for (const person of [ALICE, RESTIC])
      assert.equal((await core.refusal(person, 'Get', { name: 'broken' }))[0], 'NotFound');
  });

  it('keeps the grants of a set that still has a field, and those that a unit waits for', async (t) => {
    const before = await startCore(t);
    await before.create(ROOT, 'cio_aws_access_key');
    await before.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    await before.ask(ROOT, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service', missing: 'block' }] });
    const records = recordsIn(before.storePath, 'credential');
    await before.create(ROOT, 'broken');
    const [tag = ''] = newTags(records, recordsIn(before.storePath, 'credential'));
    const core = await restartCore(t, before, () => flipBit(before.storePath, 'credential', tag));
    assert.equal((await core.ask(ROOT, 'Fsck', { repair: true })).repaired, true);
    assert.equal(await core.value(ALICE, 'cio_aws_access_key'), 'value-of-cio_aws_access_key');
    await core.create(ROOT, 'token');
    assert.equal(await core.value(RESTIC, 'token'), 'value-of-token');
  });

  it('does not block calls: reads run at once, writes afterwards', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...Array.from({ length: 400 }, (_, index) => `name-${index}`));
    let isDone = false;
    const check = core.ask(ROOT, 'Fsck', {}).finally(() => {
      isDone = true;
    });
    assert.equal(await core.value(BOB, 'none').catch(() => 'answered'), 'answered');
    assert.equal(await core.value(ROOT, 'name-1'), 'value-of-name-1');
    assert.equal(isDone, false);
    assert.equal(await core.create(ROOT, 'later'), 2);
    assert.equal(isDone, true);
    assert.deepEqual((await check).problems, []);
    assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
  });
});
