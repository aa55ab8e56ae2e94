import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CHECKS } from '../../../src/validation.ts';
import type { Finding, ProbeJob } from '../../../src/validation.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { ValidateOut } from '../../../src/protocol/interface.generated.ts';
import { ALICE, BOB, ROOT, startCore } from '../core.ts';
import type { Core } from '../core.ts';

const AWS = {
  cio_aws_backup_repo: 's3:https://s3.amazonaws.com/backup-123',
  cio_aws_access_key: 'AKIAYHD623GGZX7VDFMJ',
  cio_aws_secret_key: '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',
  cio_aws_backup_password: 'correct horse battery',
};

async function keep(core: Core, values: Readonly<Record<string, string>>, person = ROOT): Promise<void> {
  await core.keep(person, ...Object.entries(values).map(([name, value]) => ({ name, value })));
}

/** Has the core's prober find this; the jobs that it gets are returned. */
function probes(core: Core, findings: readonly Finding[]): ProbeJob[] {
  const jobs: ProbeJob[] = [];
  core.startProber = () =>
    Promise.resolve({
      send: (text: string) => void jobs.push(JSON.parse(text.slice(0, -1)) as ProbeJob),
      end: () => undefined,
      chunks: (async function* () {
        for (const finding of findings) yield Buffer.from(`${JSON.stringify(finding)}\0`);
        yield Buffer.from('{"done":true}\0');
      })(),
    });
  return jobs;
}

describe('Validate', () => {
  it('looks at the values, then has the prober look, and passes on what it finds', async (t) => {
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
    assert.deepEqual(jobs, [{ set: 'aws', provider: 'aws', values, restoreOnly: false }]);
  });

  it('answers a call with more by a reply for each finding, as it comes', async (t) => {
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

  it('takes the set, its UUID, or one of its credentials, in any spelling', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    probes(core, []);
    const { sets } = await core.ask(ROOT, 'List', {});
    for (const target of ['aws', sets[0]?.uuid ?? '', 'cio_aws_secret_key', 'cio_aws_restic_password']) {
      assert.equal((await core.ask(ROOT, 'Validate', { target, shapeOnly: true })).set, 'aws', target);
    }
    await core.keep(ROOT, 'plain');
    for (const target of ['plain', 'minio', 'cio_minio_secret_key']) {
      assert.equal((await core.refusal(ROOT, 'Validate', { target }))[0], 'NotFound', target);
    }
  });

  it('asks no server where the values alone cannot work, and passes nothing then', async (t) => {
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

  it('asks no server where only the shape is wanted', async (t) => {
    const core = await startCore(t);
    await keep(core, { ...AWS, cio_aws_backup_password: AWS.cio_aws_secret_key });
    const jobs = probes(core, []);
    const { failed, findings } = await core.ask(ROOT, 'Validate', { target: 'aws', shapeOnly: true });
    assert.deepEqual([failed, findings.map(({ reason }) => reason)], [false, ['password_is_secret_key']]);
    assert.deepEqual(jobs, []);
  });

  it('holds an alternate set against the one that it stands in for', async (t) => {
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

  it('says that nothing is written where only a restore is meant', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    const jobs = probes(core, []);
    await core.ask(ROOT, 'Validate', { target: 'aws', restoreOnly: true });
    assert.equal(jobs[0]?.restoreOnly, true);
  });

  it('is for whoever may read the set; for others it is not there', async (t) => {
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

  it('has no job where the store is locked', async (t) => {
    const core = await startCore(t);
    await keep(core, AWS);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await core.refusal(ROOT, 'Validate', { target: 'aws' }), ['Locked', {}]);
  });
});
