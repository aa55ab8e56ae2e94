import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProberMissingError } from '../../../daemon/probe/start-prober.ts';
import { CHECKS } from '../../../src/validation.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { ValidateOut } from '../../../src/protocol/interface.generated.ts';
import { ALICE, BOB, ROOT, START_TIME, startCore } from '../core.ts';
import type { Core } from '../core.ts';
import { ALL_WELL, holdProbes, probes, WRONG_KEY } from '../probes.ts';

const AWS = {
  cio_aws_backup_repo: 's3:https://s3.amazonaws.com/backup-123',
  cio_aws_access_key: 'AKIAYHD623GGZX7VDFMJ',
  cio_aws_secret_key: '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',
  cio_aws_backup_password: 'correct horse battery',
};

async function keep(core: Core, values: Readonly<Record<string, string>>, person = ROOT): Promise<void> {
  await core.create(person, ...Object.entries(values).map(([name, value]) => ({ name, value })));
}

describe('Validate', () => {
  it('checks the values, then runs the prober, and returns its findings', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    const jobs = probes(core, [
      { check: 'resolve', state: 'passed', ms: 3 },
      { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' },
    ]);
    assert.deepEqual(await core.ask(ROOT, 'Validate', { target: 'aws' }), {
      set: 'aws',
      owner: 0,
      failed: true,
      findings: [
        { check: 'shape', state: 'passed' },
        { check: 'resolve', state: 'passed', ms: 3 },
        {
          check: 'key',
          state: 'failed',
          reason: 'wrong_secret_key',
          field: 'secret_key',
          name: 'cio_aws_secret_key',
        },
      ],
    });
    const values = Object.fromEntries(
      Object.entries(AWS).map(([name, value]) => [name.replace('cio_aws_', ''), value]),
    );
    assert.deepEqual(jobs, [{ set: 'aws', provider: 'aws', values, restoreOnly: false, makeBucket: false }]);
  });

  it('sends a reply per finding to a call with more, as they come', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    probes(core, [{ check: 'resolve', state: 'passed' }]);
    const call = { method: `${INTERFACE_NAME}.Validate`, parameters: { target: 'aws' }, more: true };
    const replies = await core.send(ROOT, call);
    assert.deepEqual(
      replies.map(({ parameters, continues }) => [(parameters as ValidateOut).findings.length, continues]),
      [
        [1, true],
        [1, true],
        [0, undefined],
      ],
    );
  });

  it("validates the set of a UUID, even if its name is that of another set's credential", async (t) => {
    const core = await startCore(t);
    await keep(core, { ...AWS, cio_cio_aws_secret_key_region: 'eu-west-1' });
    probes(core, []);
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'cio_aws_secret_key', allowIncomplete: true });
    assert.equal((await core.ask(ROOT, 'Validate', { target: uuid, shapeOnly: true })).set, 'cio_aws_secret_key');
    assert.equal((await core.ask(ROOT, 'Validate', { target: 'cio_aws_secret_key', shapeOnly: true })).set, 'aws');
  });

  it('accepts the set, its UUID, or one of its credentials, in any spelling', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    probes(core, []);
    const { sets } = await core.ask(ROOT, 'List', {});
    for (const target of ['aws', sets[0]?.uuid ?? '', 'cio_aws_secret_key', 'cio_aws_restic_password']) {
      assert.equal((await core.ask(ROOT, 'Validate', { target, shapeOnly: true })).set, 'aws', target);
    }
    await core.create(ROOT, 'plain');
    for (const target of ['plain', 'minio', 'cio_minio_secret_key']) {
      assert.equal((await core.refusal(ROOT, 'Validate', { target }))[0], 'NotFound', target);
    }
  });

  it('contacts no server if the values alone cannot work, and passes no check then', async (t) => {
    const core = await startCore(t);
    const { cio_aws_secret_key: _, ...others } = AWS;
    await keep(core, others);
    const jobs = probes(core, []);
    const { failed, findings } = await core.ask(ROOT, 'Validate', { target: 'aws' });
    assert.equal(failed, true);
    const [first, ...rest] = findings;
    assert.deepEqual(first, {
      check: 'shape',
      state: 'failed',
      reason: 'missing_field',
      field: 'secret_key',
      name: 'cio_aws_secret_key',
      subject: 'secret_key',
    });
    assert.deepEqual(
      rest.map(({ check, state, reason }) => [check, state, reason]),
      CHECKS.slice(1).map((check) => [check, 'skipped', 'earlier_failure']),
    );
    assert.deepEqual(jobs, []);
  });

  it('contacts no server with shapeOnly', async (t) => {
    const core = await startCore(t);
    await keep(core, { ...AWS, cio_aws_backup_password: AWS.cio_aws_secret_key });
    const jobs = probes(core, []);
    const { failed, findings } = await core.ask(ROOT, 'Validate', { target: 'aws', shapeOnly: true });
    assert.deepEqual([failed, findings.map(({ reason }) => reason)], [false, ['password_is_secret_key']]);
    assert.deepEqual(jobs, []);
  });

  it('compares an alternate set with its primary set', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    const alternate = Object.entries(AWS).map(([name, value]) => [name.replace('cio_aws_', 'cio_aws_alt_'), value]);
    await keep(core, Object.fromEntries(alternate) as Record<string, string>);
    const { findings } = await core.ask(ROOT, 'Validate', { target: 'aws_alt', shapeOnly: true });
    assert.deepEqual(
      findings.map(({ reason, subject }) => [reason, subject]),
      [['same_as_primary', 'aws']],
    );
  });

  it('tells the prober to write nothing with restoreOnly', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    const jobs = probes(core, []);
    await core.ask(ROOT, 'Validate', { target: 'aws', restoreOnly: true });
    assert.equal(jobs[0]?.restoreOnly, true);
  });

  it('is for anyone who may read the set; others get NotFound', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    probes(core, []);
    assert.deepEqual(await core.refusal(ALICE, 'Validate', { target: 'aws' }), ['NotFound', { name: 'aws' }]);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    assert.equal((await core.ask(ALICE, 'Validate', { target: 'aws' })).failed, false);
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ uid: BOB.uid }] });
    const { findings } = await core.ask(BOB, 'Validate', { target: 'aws', shapeOnly: true });
    assert.ok(
      findings.some(({ reason }) => reason === 'missing_field'),
      'what he may not read is not there',
    );
  });

  it('uses the machine’s identity for shared sets only, whoever asks; a user’s own sets need keys', async (t) => {
    const core = await startCore(t);
    const { cio_aws_access_key: _, cio_aws_secret_key: __, ...rest } = AWS;
    const set = { ...rest, cio_aws_use_iam: 'true' };
    await keep(core, set, ALICE);
    const jobs = probes(core, ALL_WELL);
    const asked = [
      await core.ask(ALICE, 'Validate', { target: 'aws' }),
      await core.ask(ROOT, 'Validate', { target: 'aws', owner: ALICE.uid }),
    ];
    for (const { failed, findings } of asked) {
      const [shape, key, ...others] = findings;
      assert.deepEqual([failed, shape?.state], [true, 'passed']);
      assert.deepEqual([key?.check, key?.reason, key?.field], ['key', 'identity_not_shared', 'use_iam']);
      assert.equal(others.length, CHECKS.length - 2);
      for (const { state, subject } of others) assert.deepEqual([state, subject], ['skipped', 'key']);
    }
    assert.deepEqual((await core.ask(ALICE, 'List', {})).sets[0]?.health, { state: 'unproved' });
    assert.deepEqual(jobs, []);
    await keep(core, set);
    assert.equal((await core.ask(ROOT, 'Validate', { target: 'aws' })).failed, false);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: BOB.uid }] });
    assert.equal((await core.ask(BOB, 'Validate', { target: 'aws' })).failed, false);
    assert.equal(jobs.length, 2);
  });

  it('starts no job while the store is locked', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Validate', { target: 'aws' }), ['Locked', {}]);
  });

  it('tries a set without a repository as far as its bucket, and reports the missing fields', async (t) => {
    const core = await startCore(t);
    const { cio_aws_backup_repo: _, cio_aws_backup_password: __, ...keys } = AWS;
    await keep(core, keys);
    const jobs = probes(core, ALL_WELL);
    assert.equal((await core.ask(ROOT, 'Validate', { target: 'aws' })).failed, true, 'it names no place at all');
    await keep(core, { cio_aws_bucket: 'backup-123' });
    const { failed, findings } = await core.ask(ROOT, 'Validate', { target: 'aws' });
    assert.deepEqual(
      [failed, findings.map(({ check, state, field }) => [check, state, field])],
      [
        false,
        [
          ['shape', 'warning', 'backup_repo'],
          ['shape', 'warning', 'backup_password'],
          ['resolve', 'passed', undefined],
          ['key', 'passed', undefined],
        ],
      ],
    );
    await core.ask(ROOT, 'Remove', { names: ['cio_aws_secret_key'] });
    assert.equal((await core.ask(ROOT, 'Validate', { target: 'aws' })).failed, true, 'it has no keys');
    assert.deepEqual(
      jobs.map(({ values }) => Object.keys(values).toSorted()),
      [['access_key', 'bucket', 'secret_key']],
    );
  });
});

describe('Validate: health', () => {
  const healthOf = async (core: Core, person = ROOT): Promise<object | undefined> =>
    (await core.ask(person, 'List', {})).sets.find(({ set }) => set === 'aws')?.health;

  it('is remembered with the first failure and the last success, and does not change the generation', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    assert.deepEqual(await healthOf(core), { state: 'unproved' });
    probes(core, ALL_WELL);
    const before = await core.ask(ROOT, 'Status', {});
    await core.ask(ROOT, 'Validate', { target: 'aws' });
    assert.deepEqual(await healthOf(core), { state: 'passed', checked: START_TIME, good: START_TIME });
    core.now += 1000;
    probes(core, WRONG_KEY);
    await core.ask(ROOT, 'Validate', { target: 'aws', restoreOnly: true });
    assert.deepEqual(await healthOf(core), {
      state: 'failed',
      checked: START_TIME + 1000,
      good: START_TIME,
      finding: { ...WRONG_KEY[1], name: 'cio_aws_secret_key' },
    });
    const after = await core.ask(ROOT, 'Status', {});
    assert.deepEqual([after.generation, after.failing], [before.generation, 1]);
  });

  it('is unproved after every change of the set, and keeps its times', async (t) => {
    const core = await startCore(t);
    await keep(core, { ...AWS, cio_aws_region: 'eu-central-1' });
    probes(core, ALL_WELL);
    const changes: (() => Promise<unknown>)[] = [
      () => core.replace(ROOT, 'cio_aws_secret_key', 'another-secret-key'),
      () => core.ask(ROOT, 'Remove', { names: ['cio_aws_region'] }),
      () => core.ask(ROOT, 'Rollback', { target: 'cio_aws_secret_key' }),
      () => core.create(ROOT, 'cio_aws_region'),
    ];
    for (const change of changes) {
      await core.ask(ROOT, 'Validate', { target: 'aws' });
      await change();
      assert.deepEqual(await healthOf(core), { state: 'unproved', checked: core.now, good: core.now });
      core.now += 1000;
    }
    assert.equal((await core.ask(ROOT, 'Status', {})).failing, 0);
  });

  it('is not recorded without a real result: shapeOnly, no prober, a cancelled run', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    probes(core, ALL_WELL);
    await core.ask(ROOT, 'Validate', { target: 'aws', shapeOnly: true });
    core.startProber = () => Promise.reject(new ProberMissingError());
    assert.equal((await core.ask(ROOT, 'Validate', { target: 'aws' })).failed, true);
    probes(core, [...ALL_WELL, { check: 'list', state: 'skipped', reason: 'cancelled' }]);
    await core.ask(ROOT, 'Validate', { target: 'aws' });
    assert.deepEqual(await healthOf(core), { state: 'unproved' });
  });

  it('is not recorded for a caller who sees a part of the set, and its finding is not shown to them', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    probes(core, ALL_WELL);
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ uid: BOB.uid }] });
    assert.equal((await core.ask(BOB, 'Validate', { target: 'aws' })).failed, true);
    assert.deepEqual(await healthOf(core), { state: 'unproved' });
    probes(core, WRONG_KEY);
    await core.ask(ROOT, 'Validate', { target: 'aws' });
    assert.deepEqual(await healthOf(core, BOB), { state: 'failed', checked: START_TIME });
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    assert.deepEqual(await healthOf(core, ALICE), await healthOf(core, ROOT));
  });

  it('belongs to the set as it was read, even if it changes meanwhile', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    const held = holdProbes(core);
    const answer = core.ask(ROOT, 'Validate', { target: 'aws' });
    const probe = await held.next();
    await core.replace(ROOT, 'cio_aws_secret_key', 'another-secret-key');
    probe.finish(ALL_WELL);
    await answer;
    assert.deepEqual(await healthOf(core), { state: 'unproved', checked: START_TIME, good: START_TIME });
    const second = core.ask(ROOT, 'Validate', { target: 'aws' });
    const next = await held.next();
    await core.ask(ROOT, 'Remove', { names: ['aws'] });
    next.finish(ALL_WELL);
    await second;
    assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, [], 'nothing is left of a set that is gone');
  });
});
