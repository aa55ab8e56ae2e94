import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HealthSchedule } from '../../../daemon/health/schedule.ts';
import { createLog } from '../../../daemon/log.ts';
import { SCHEDULED_JOBS_MAX } from '../../../daemon/probe/job-bounds.ts';
import { ProberMissingError } from '../../../daemon/probe/start-prober.ts';
import type { Health } from '../../../src/protocol/interface.generated.ts';
import { ALICE, BOB, ROOT, restartCore, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';
import { isPending } from '../vault/open-vault.ts';
import { VALUE_IN_OWN_RECORD, flipBit, newTags, recordsIn } from '../damage.ts';
import { ALL_WELL, holdProbes, probes, WRONG_KEY } from '../probes.ts';

const HOUR_MS = 60 * 60 * 1000;

/** Longer than any set has to wait. */
const LONG_MS = 1.2 * HOUR_MS;

function scheduleOf(core: Core): HealthSchedule {
  const { vault, prober, health, announcer } = core;
  const log = createLog((line) => void core.log.push(line), false);
  return new HealthSchedule({ vault, prober, health, announcer, log, now: () => core.now, everyMs: HOUR_MS });
}

/** Stores a complete set. */
async function createSet(core: Core, set: string, person: Person = ROOT): Promise<void> {
  await core.create(
    person,
    ...['backup_repo', 'access_key', 'secret_key', 'backup_password'].map((field) => `cio_${set}_${field}`),
  );
}

async function healthOf(core: Core, set: string, person: Person = ROOT): Promise<Health | undefined> {
  return (await core.ask(person, 'List', {})).sets.find((one) => one.set === set)?.health;
}

describe('HealthSchedule', () => {
  it('validates every set that can be validated, of all owners, without writing to their servers', async (t) => {
    const core = await startCore(t);
    await createSet(core, 'aws');
    await createSet(core, 'aws', ALICE);
    await core.create(
      ROOT,
      'cio_minio_access_key',
      'cio_minio_secret_key',
      'cio_minio_bucket',
      'cio_s3_access_key',
      'token',
    );
    const jobs = probes(core, ALL_WELL);
    const schedule = scheduleOf(core);
    await schedule.sweep();
    core.now += LONG_MS;
    await schedule.sweep();
    assert.deepEqual(jobs.map(({ set }) => set).toSorted(), ['aws', 'aws', 'minio']);
    for (const { restoreOnly, makeBucket } of jobs) assert.deepEqual([restoreOnly, makeBucket], [true, false]);
    assert.equal((await healthOf(core, 'aws', ALICE))?.state, 'passed');
    assert.equal((await healthOf(core, 's3'))?.state, 'unproved');
  });

  it('spreads the first round over the interval, and the later ones too', async (t) => {
    const core = await startCore(t);
    for (let index = 0; index < 40; index += 1) await createSet(core, `aws_${index}`);
    const jobs = probes(core, ALL_WELL);
    const schedule = scheduleOf(core);
    const perTenth: number[] = [];
    for (let tenth = 0; tenth < 20; tenth += 1) {
      const before = jobs.length;
      await schedule.sweep();
      perTenth.push(jobs.length - before);
      core.now += HOUR_MS / 10;
    }
    assert.equal(perTenth[0], 0);
    assert.ok(
      perTenth.every((count) => count < 14),
      perTenth.join(),
    );
    assert.ok(jobs.length >= 60 && jobs.length <= 80, String(jobs.length));
  });

  it('continues after a restart, and does not try everything again', async (t) => {
    const core = await startCore(t);
    for (let index = 0; index < 10; index += 1) await createSet(core, `aws_${index}`);
    probes(core, ALL_WELL);
    const schedule = scheduleOf(core);
    await schedule.sweep();
    core.now += LONG_MS;
    await schedule.sweep();
    const again = await restartCore(t, core);
    again.now = core.now + HOUR_MS / 2;
    const jobs = probes(again, ALL_WELL);
    const next = scheduleOf(again);
    await next.sweep();
    again.now += HOUR_MS / 10;
    await next.sweep();
    assert.deepEqual(jobs, []);
    again.now += LONG_MS;
    await next.sweep();
    assert.equal(jobs.length, 10);
  });

  it('skips a set that a caller validated or proved until it is due again', async (t) => {
    const core = await startCore(t);
    await createSet(core, 'aws');
    const jobs = probes(core, ALL_WELL);
    const schedule = scheduleOf(core);
    await schedule.sweep();
    core.now += LONG_MS;
    await core.ask(ROOT, 'Validate', { target: 'aws' });
    await schedule.sweep();
    assert.equal(jobs.length, 1);
  });

  it(`runs ${SCHEDULED_JOBS_MAX} at a time, beside those of callers, and no owner's second before another's first`, async (t) => {
    const core = await startCore(t);
    for (let index = 0; index < 5; index += 1) await createSet(core, `aws_${index}`, ALICE);
    await createSet(core, 'minio', BOB);
    const held = holdProbes(core);
    const schedule = scheduleOf(core);
    await schedule.sweep();
    core.now += LONG_MS;
    const swept = schedule.sweep();
    const first = [await held.next(), await held.next()];
    assert.ok(
      first.some(({ job }) => job.set === 'minio'),
      'BOB has his turn',
    );
    const third = held.next();
    const caller = core.ask(BOB, 'Validate', { target: 'minio' });
    const called = await third;
    assert.equal(called.job.restoreOnly, false, 'the third one to begin is the caller’s');
    called.finish(ALL_WELL);
    await caller;
    for (const probe of first) probe.finish(ALL_WELL);
    for (let rest = 0; rest < 4; rest += 1) (await held.next()).finish(ALL_WELL);
    await swept;
  });

  it('tries nothing while the store is locked, ends running jobs, and spreads again after the unlock', async (t) => {
    const core = await startCore(t);
    await createSet(core, 'aws');
    const held = holdProbes(core);
    const schedule = scheduleOf(core);
    t.after(() => schedule.stop());
    schedule.start();
    await schedule.sweep();
    core.now += LONG_MS;
    const swept = schedule.sweep();
    const probe = await held.next();
    await core.ask(ROOT, 'Lock', {});
    await swept;
    assert.equal(probe.isEnded, true);
    const jobs = probes(core, ALL_WELL);
    await schedule.sweep();
    assert.deepEqual(jobs, []);
    await core.ask(ROOT, 'Unlock', {});
    assert.deepEqual(await healthOf(core, 'aws'), { state: 'unproved' });
    await schedule.sweep();
    assert.deepEqual(jobs, []);
    core.now += LONG_MS;
    await schedule.sweep();
    assert.equal(jobs.length, 1);
  });

  it('ends running jobs when it is stopped, without a result for their sets', async (t) => {
    const core = await startCore(t);
    for (const set of ['aws', 'minio', 's3_a', 's3_b']) await createSet(core, set);
    const held = holdProbes(core);
    const schedule = scheduleOf(core);
    schedule.start();
    await schedule.sweep();
    core.now += LONG_MS;
    const swept = schedule.sweep();
    const begun = [await held.next(), await held.next()];
    await schedule.stop();
    await swept;
    assert.ok(begun.every(({ isEnded }) => isEnded));
    for (const { job } of begun) assert.deepEqual(await healthOf(core, job.set), { state: 'unproved' });
  });

  it('logs when a set fails and when it works again, by its UUID', async (t) => {
    const core = await startCore(t);
    await createSet(core, 'aws');
    const { sets } = await core.ask(ROOT, 'List', {});
    const schedule = scheduleOf(core);
    await schedule.sweep();
    const lines: string[][] = [];
    for (const findings of [ALL_WELL, WRONG_KEY, WRONG_KEY, ALL_WELL]) {
      probes(core, findings);
      core.log.length = 0;
      core.now += LONG_MS;
      await schedule.sweep();
      lines.push([...core.log]);
    }
    const set = `set=${sets[0]?.uuid} owner=shared`;
    assert.deepEqual(lines, [
      [],
      [`cio-credentiald: warning: a set fails its validation ${set} check=key reason=wrong_secret_key\n`],
      [],
      [`cio-credentiald: a set works again ${set}\n`],
    ]);
  });

  it('logs once that there is no prober, ends the sweep, and tries the due sets once there is one', async (t) => {
    const core = await startCore(t);
    for (const set of ['aws_a', 'aws_b', 'aws_c', 'aws_d', 'minio']) await createSet(core, set);
    let tries = 0;
    core.startProber = () => {
      tries += 1;
      return Promise.reject(new ProberMissingError());
    };
    const schedule = scheduleOf(core);
    await schedule.sweep();
    core.now += LONG_MS;
    for (let round = 1; round <= 3; round += 1) {
      await schedule.sweep();
      assert.equal(tries, round * SCHEDULED_JOBS_MAX, 'those that had begun');
    }
    assert.equal(core.log.filter((line) => line.includes('the prober is missing')).length, 1);
    assert.equal((await healthOf(core, 'minio'))?.state, 'unproved');
    const jobs = probes(core, ALL_WELL);
    await schedule.sweep();
    assert.equal(jobs.length, 5, 'without waiting for an interval to go by');
  });

  it('begins nothing more in a sweep that takes long, and leaves the rest to the next one', async (t) => {
    const core = await startCore(t);
    for (let index = 0; index < 6; index += 1) await createSet(core, `aws_${index}`, ALICE);
    const held = holdProbes(core);
    const schedule = scheduleOf(core);
    await schedule.sweep();
    core.now += LONG_MS;
    const swept = schedule.sweep();
    const begun = [await held.next(), await held.next()];
    const now = performance.now.bind(performance);
    t.mock.method(performance, 'now', () => now() + HOUR_MS);
    for (const probe of begun) probe.finish(ALL_WELL);
    await swept;
    const jobs = probes(core, ALL_WELL);
    await schedule.sweep();
    assert.equal(jobs.length, 4);
  });

  it('tries other sets if the values of some are damaged, and does not retry those at once', async (t) => {
    const core = await startCore(t);
    const before = recordsIn(core.storePath, 'value');
    for (const set of ['aws_a', 'aws_b', 'aws_c']) {
      await createSet(core, set);
      await core.replace(ROOT, `cio_${set}_backup_password`, VALUE_IN_OWN_RECORD);
    }
    const damaged = newTags(before, recordsIn(core.storePath, 'value'));
    await createSet(core, 'minio');
    const again = await restartCore(t, core, () => {
      for (const tag of damaged) flipBit(core.storePath, 'value', tag);
    });
    const jobs = probes(again, ALL_WELL);
    const schedule = scheduleOf(again);
    await schedule.sweep();
    for (let round = 1; round <= 2; round += 1) {
      again.now += LONG_MS;
      await schedule.sweep();
      await schedule.sweep();
      assert.deepEqual(
        jobs.map(({ set }) => set),
        Array.from({ length: round }, () => 'minio'),
      );
    }
  });

  it('follows a clock that was far ahead at the start and then corrected', async (t) => {
    const core = await startCore(t);
    await createSet(core, 'aws');
    const jobs = probes(core, ALL_WELL);
    const schedule = scheduleOf(core);
    core.now += 1000 * HOUR_MS;
    await schedule.sweep();
    core.now -= 1000 * HOUR_MS;
    await schedule.sweep();
    core.now += LONG_MS;
    await schedule.sweep();
    assert.equal(jobs.length, 1);
  });

  it('tries a set that was made while the clock was far ahead, once it is corrected', async (t) => {
    const core = await startCore(t);
    core.now += 1000 * HOUR_MS;
    await createSet(core, 'aws');
    core.now -= 1000 * HOUR_MS;
    const jobs = probes(core, ALL_WELL);
    const schedule = scheduleOf(core);
    for (let round = 0; round < 25; round += 1) {
      await schedule.sweep();
      core.now += HOUR_MS / 20;
    }
    assert.ok(jobs.length > 0);
  });

  it('does not retry a failed attempt at once, even if the clock was far ahead at the previous one', async (t) => {
    const core = await startCore(t);
    await createSet(core, 'aws');
    probes(core, ALL_WELL);
    const schedule = scheduleOf(core);
    await schedule.sweep();
    core.now += 1000 * HOUR_MS;
    await schedule.sweep();
    core.now -= 1000 * HOUR_MS;
    const jobs = probes(core, [{ check: 'resolve', state: 'failed', reason: 'prober_failed' }]);
    core.now += LONG_MS;
    for (let round = 0; round < 5; round += 1) {
      await schedule.sweep();
      core.now += HOUR_MS / 20;
    }
    assert.equal(jobs.length, 1);
    core.now += LONG_MS;
    await schedule.sweep();
    assert.equal(jobs.length, 2);
  });

  it('runs by itself until it is stopped', async (t) => {
    const core = await startCore(t);
    await createSet(core, 'aws');
    const held = holdProbes(core);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const schedule = scheduleOf(core);
    schedule.start();
    const pass = (): void => {
      core.now += HOUR_MS / 2;
      t.mock.timers.tick(HOUR_MS / 2);
    };
    for (let round = 0; round < 2; round += 1) {
      const begun = held.next();
      while (await isPending(begun)) pass();
      (await begun).finish(ALL_WELL);
    }
    const never = held.next();
    await schedule.stop();
    for (let hour = 0; hour < 10; hour += 1) {
      pass();
      assert.equal(await isPending(never), true);
    }
  });
});
