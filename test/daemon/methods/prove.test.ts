import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProveIn, ProveOut } from '../../../src/protocol/interface.generated.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { Finding } from '../../../src/validation.ts';
import { ALICE, BOB, ROOT, START_TIME, restartCore, startCore } from '../core.ts';
import type { Core } from '../core.ts';
import { ALL_WELL, holdProbes, probes, WRONG_KEY } from '../probes.ts';

const AWS = {
  cio_aws_backup_repo: 's3:https://s3.amazonaws.com/backup-123',
  cio_aws_access_key: 'AKIAYHD623GGZX7VDFMJ',
  cio_aws_secret_key: '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',
  cio_aws_backup_password: 'correct horse battery',
};

const { cio_aws_backup_repo: _, cio_aws_backup_password: __, ...KEYS } = AWS;

function proveOf(values: Readonly<Record<string, string>>, options: Partial<ProveIn> = {}): ProveIn {
  return { credentials: Object.entries(values).map(([name, value]) => ({ name, value })), ...options };
}

/** Returns everything that anybody could see of a new set. */
async function seen(core: Core): Promise<object[]> {
  const seenBy = async (person: typeof ROOT): Promise<object> => {
    const { generation, credentials: count } = await core.ask(person, 'Status', {});
    const { credentials, sets } = await core.ask(person, 'List', {});
    const refusals = await Promise.all([
      core.call(person, 'Get', { name: 'cio_aws_secret_key' }),
      core.call(person, 'GetSet', { set: 'aws', allowIncomplete: true }),
      core.call(person, 'History', { name: 'cio_aws_secret_key' }),
    ]);
    return { generation, count, credentials, sets, refusals };
  };
  return Promise.all([ROOT, ALICE].map(seenBy));
}

describe('Prove', () => {
  it('tries the complete candidate and stores it as one generation, with its health', async (t) => {
    const core = await startCore(t);
    const jobs = probes(core, ALL_WELL);
    const out = await core.ask(ROOT, 'Prove', proveOf(AWS));
    assert.deepEqual(out, {
      set: 'aws',
      owner: 0,
      findings: [{ check: 'shape', state: 'passed' }, ...ALL_WELL],
      failed: false,
      generation: 1,
      saved: Object.keys(AWS).map((name) => ({ name, version: 1, created: true })),
    });
    const values = Object.fromEntries(
      Object.entries(AWS).map(([name, value]) => [name.replace('cio_aws_', ''), value]),
    );
    assert.deepEqual(jobs, [{ set: 'aws', provider: 'aws', values, restoreOnly: false, makeBucket: false }]);
    assert.equal(await core.value(ROOT, 'cio_aws_secret_key'), AWS.cio_aws_secret_key);
    const { sets } = await core.ask(ROOT, 'List', {});
    assert.deepEqual(sets[0]?.health, { state: 'passed', checked: START_TIME, good: START_TIME });
  });

  it('is invisible before it has passed, and after it failed', async (t) => {
    const core = await startCore(t);
    const before = await seen(core);
    const held = holdProbes(core);
    const answer = core.ask(ROOT, 'Prove', proveOf(AWS));
    const probe = await held.next();
    assert.deepEqual(await seen(core), before);
    probe.finish(WRONG_KEY);
    const { failed, saved, generation, findings } = await answer;
    assert.deepEqual([failed, saved, generation], [true, [], undefined]);
    assert.deepEqual(findings.at(-1), { ...WRONG_KEY[1], name: 'cio_aws_secret_key' });
    assert.deepEqual(await seen(core), before);
    assert.deepEqual(await seen(await restartCore(t, core)), before);
  });

  it('sends a reply per finding to a call with more, and in the last one the saved credentials', async (t) => {
    const core = await startCore(t);
    probes(core, ALL_WELL);
    const replies = await core.send(ROOT, { method: `${INTERFACE_NAME}.Prove`, parameters: proveOf(AWS), more: true });
    assert.deepEqual(
      replies.map(({ parameters, continues }) => {
        const { findings, saved } = parameters as ProveOut;
        return [findings.length, saved.length, continues];
      }),
      [
        [1, 0, true],
        [1, 0, true],
        [1, 0, true],
        [0, 4, undefined],
      ],
    );
  });

  it('contacts no server and stores nothing if the values alone cannot work', async (t) => {
    const core = await startCore(t);
    const jobs = probes(core, ALL_WELL);
    const before = await seen(core);
    const swapped = { ...AWS, cio_aws_access_key: AWS.cio_aws_secret_key, cio_aws_secret_key: AWS.cio_aws_access_key };
    const { cio_aws_secret_key: _, ...keyless } = AWS;
    for (const values of [swapped, keyless]) {
      assert.equal((await core.ask(ROOT, 'Prove', proveOf(values))).failed, true);
    }
    assert.deepEqual(jobs, []);
    assert.deepEqual(await seen(core), before);
  });

  const nothingProved: readonly Finding[][] = [
    [],
    [{ check: 'resolve', state: 'skipped', reason: 'not_needed' }],
    [...ALL_WELL, { check: 'list', state: 'skipped', reason: 'cancelled' }],
  ];
  for (const findings of nothingProved) {
    it(`does not accept ${JSON.stringify(findings.at(-1) ?? 'silence')} as a proof`, async (t) => {
      const core = await startCore(t);
      probes(core, findings);
      const out = await core.ask(ROOT, 'Prove', proveOf(AWS));
      assert.deepEqual([out.failed, out.saved, out.findings.at(-1)?.reason], [true, [], 'prober_failed']);
      assert.deepEqual((await core.ask(ROOT, 'List', {})).credentials, []);
    });
  }

  it('stores nothing if there is no prober', async (t) => {
    const core = await startCore(t);
    assert.equal((await core.ask(ROOT, 'Prove', proveOf(AWS))).failed, true);
    assert.deepEqual((await core.ask(ROOT, 'List', {})).credentials, []);
  });
});

describe('Prove of a part of a set', () => {
  it('merges it with the present values, and changes only the named ones', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...proveOf(AWS).credentials);
    const jobs = probes(core, ALL_WELL);
    const change = { cio_aws_restic_password: 'another password', cio_aws_region: 'eu-central-1' };
    const { saved } = await core.ask(ROOT, 'Prove', proveOf(change, { replace: true }));
    assert.deepEqual(saved, [
      { name: 'cio_aws_backup_password', version: 2, created: false },
      { name: 'cio_aws_region', version: 1, created: true },
    ]);
    const values = Object.fromEntries(
      Object.entries(AWS).map(([name, value]) => [name.replace('cio_aws_', ''), value]),
    );
    assert.deepEqual(jobs[0]?.values, { ...values, backup_password: 'another password', region: 'eu-central-1' });
    assert.equal((await core.ask(ROOT, 'History', { name: 'cio_aws_secret_key' })).versions.length, 1);
  });

  it('refuses an existing name before anything is tried', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_secret_key');
    const jobs = probes(core, ALL_WELL);
    assert.deepEqual(await core.refusal(ROOT, 'Prove', proveOf(AWS)), [
      'AlreadyExists',
      { name: 'cio_aws_secret_key' },
    ]);
    assert.deepEqual(jobs, []);
  });

  it('refuses credentials of two sets or of none, and those that Create refuses', async (t) => {
    const core = await startCore(t);
    probes(core, ALL_WELL);
    for (const [values, refusal, name] of [
      [{ token: 'x' }, 'InvalidName', 'token'],
      [{ ...AWS, token: 'x' }, 'InvalidName', 'token'],
      [{ ...AWS, cio_aws_alt_access_key: 'x' }, 'InvalidName', 'cio_aws_alt_access_key'],
      [{ ...AWS, cio_aws_access_key: '' }, 'InvalidValue', 'cio_aws_access_key'],
      [{ ...AWS, cio_aws_endpoint: ' ' }, 'InvalidValue', 'cio_aws_endpoint'],
    ] as const) {
      const [error, fields] = await core.refusal(ROOT, 'Prove', proveOf(values));
      assert.deepEqual([error, (fields as { name: string }).name], [refusal, name]);
    }
    assert.equal((await core.refusal(ROOT, 'Prove', { credentials: [] }))[0], 'InvalidName');
  });

  const changes: Readonly<Record<string, (core: Core) => Promise<unknown>>> = {
    'a field was replaced': (core) => core.replace(ROOT, 'cio_aws_access_key', 'AKIAYHD623GGZX7VDFMK'),
    'a field was added': (core) => core.create(ROOT, 'cio_aws_prefix'),
    'a field was removed': (core) => core.ask(ROOT, 'Remove', { names: ['cio_aws_backup_repo'] }),
    'the whole set was removed': (core) => core.ask(ROOT, 'Remove', { names: ['aws'] }),
    'the set was removed and made again': async (core) => {
      await core.ask(ROOT, 'Remove', { names: ['aws'] });
      await core.create(ROOT, ...proveOf(AWS).credentials);
    },
    'another call proved it first': async (core) => {
      probes(core, ALL_WELL);
      await core.ask(ROOT, 'Prove', proveOf({ cio_aws_secret_key: 'x'.repeat(40) }, { replace: true }));
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`is a Conflict and stores nothing if ${what} meanwhile`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, ...proveOf(AWS).credentials);
      const held = holdProbes(core);
      const refused = core.refusal(ROOT, 'Prove', proveOf({ cio_aws_region: 'eu-central-1' }, { replace: true }));
      const probe = await held.next();
      await change(core);
      const before = await core.ask(ROOT, 'List', {});
      probe.finish(ALL_WELL);
      assert.equal((await refused)[0], 'Conflict');
      assert.deepEqual(await core.ask(ROOT, 'List', {}), before);
    });
  }

  it('is a Conflict if the set was made meanwhile, but not if another set was', async (t) => {
    const core = await startCore(t);
    for (const [name, refusal] of [
      ['cio_minio_access_key', undefined],
      ['cio_aws_region', 'Conflict'],
    ] as const) {
      await core.call(ROOT, 'Remove', { names: ['aws'] });
      const held = holdProbes(core);
      const answer = core.call(ROOT, 'Prove', proveOf(AWS));
      const probe = await held.next();
      await core.create(ROOT, name);
      probe.finish(ALL_WELL);
      assert.equal((await answer).error, refusal === undefined ? undefined : `${INTERFACE_NAME}.${refusal}`);
    }
  });

  it('is a Conflict if the store was locked and unlocked meanwhile, as it may have been replaced', async (t) => {
    const core = await startCore(t);
    const held = holdProbes(core);
    const refused = core.refusal(ROOT, 'Prove', proveOf(AWS));
    const probe = await held.next();
    await core.ask(ROOT, 'Lock', {});
    await core.ask(ROOT, 'Unlock', {});
    probe.finish(ALL_WELL);
    assert.equal((await refused)[0], 'Conflict');
    assert.deepEqual((await core.ask(ROOT, 'List', {})).credentials, []);
  });

  it('answers Locked and stores nothing if the store was locked meanwhile', async (t) => {
    const core = await startCore(t);
    const held = holdProbes(core);
    const refused = core.refusal(ROOT, 'Prove', proveOf(AWS));
    const probe = await held.next();
    await core.ask(ROOT, 'Lock', {});
    probe.finish(ALL_WELL);
    assert.deepEqual(await refused, ['Locked', {}]);
    await core.ask(ROOT, 'Unlock', {});
    assert.deepEqual((await core.ask(ROOT, 'List', {})).credentials, []);
  });
});

describe('Prove: owners', () => {
  it("is for the caller's own space, and for another owner's by administrators only", async (t) => {
    const core = await startCore(t);
    const jobs = probes(core, ALL_WELL);
    assert.equal((await core.ask(ALICE, 'Prove', proveOf(AWS))).owner, ALICE.uid);
    assert.deepEqual(await core.refusal(ALICE, 'Prove', proveOf(AWS, { owner: BOB.uid })), [
      'AccessDenied',
      { right: 'write' },
    ]);
    assert.deepEqual(await core.refusal(BOB, 'Prove', proveOf(AWS, { owner: 0 })), [
      'AccessDenied',
      { right: 'write' },
    ]);
    assert.equal((await core.ask(ROOT, 'Prove', proveOf(AWS, { owner: BOB.uid }))).owner, BOB.uid);
    assert.equal(jobs.length, 2);
    assert.equal((await core.ask(ROOT, 'List', {})).credentials.length, 0);
    assert.equal((await core.ask(BOB, 'List', {})).credentials[0]?.createdBy, 0);
  });

  it("does not merge others' credentials into the candidate", async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...proveOf(AWS).credentials);
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ uid: ALICE.uid }] });
    const jobs = probes(core, ALL_WELL);
    assert.equal((await core.ask(ALICE, 'Prove', proveOf({ cio_aws_access_key: 'mine' }))).failed, true);
    assert.deepEqual(jobs, []);
  });
});

describe('Prove for a caller who leaves', () => {
  it('ends the job and stores nothing, whenever the caller leaves', async (t) => {
    const core = await startCore(t);
    for (const point of ['while it is tried', 'when it is proved'] as const) {
      const held = holdProbes(core);
      let leave: () => void = () => undefined;
      const gone = (callback: () => void): (() => void) => {
        const before = leave;
        leave = () => (before(), callback());
        return () => undefined;
      };
      const message = { method: `${INTERFACE_NAME}.Prove`, parameters: proveOf(AWS) };
      const answer = core.dispatch(core.caller(ROOT), message, gone);
      const probe = await held.next();
      if (point === 'when it is proved') probe.finish(ALL_WELL);
      leave();
      assert.equal(((await answer) as { parameters: ProveOut }).parameters.failed, true, point);
      assert.equal(probe.isEnded, true, point);
      assert.deepEqual((await core.ask(ROOT, 'List', {})).credentials, [], point);
    }
  });
});

describe('Prove: a bucket', () => {
  it('tries a set without a repository as far as possible, and stores it', async (t) => {
    const core = await startCore(t);
    const jobs = probes(core, ALL_WELL);
    const out = await core.ask(ROOT, 'Prove', proveOf(KEYS));
    assert.deepEqual([out.failed, out.saved.length], [false, 2]);
    assert.deepEqual(
      out.findings.slice(0, 2).map(({ state, reason, field }) => [state, reason, field]),
      [
        ['warning', 'missing_field', 'backup_repo'],
        ['warning', 'missing_field', 'backup_password'],
      ],
    );
    assert.equal(jobs[0]?.makeBucket, false);
  });

  it('named by the store’s id is requested if the set names none, and becomes a field of the set', async (t) => {
    const core = await startCore(t);
    const jobs = probes(core, ALL_WELL);
    const { storeId } = await core.ask(ROOT, 'Status', {});
    const { saved } = await core.ask(ROOT, 'Prove', proveOf(KEYS, { makeBucket: true }));
    assert.match(storeId ?? '', /^[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]$/, 'it can name a bucket');
    assert.deepEqual([jobs[0]?.makeBucket, jobs[0]?.values['bucket']], [true, storeId]);
    assert.deepEqual(saved.at(-1), { name: 'cio_aws_bucket', version: 1, created: true });
    assert.equal(await core.value(ROOT, 'cio_aws_bucket'), storeId);
  });

  it('is the set’s own if it names one, in a field or in its repository', async (t) => {
    const core = await startCore(t);
    const jobs = probes(core, ALL_WELL);
    await core.ask(ROOT, 'Prove', proveOf({ ...KEYS, cio_aws_bucket: 'mine' }, { makeBucket: true }));
    await core.ask(ROOT, 'Prove', proveOf({ cio_aws_region: 'eu-central-1' }, { makeBucket: true }));
    const repository = { ...AWS, cio_aws_backup_repo: 's3:https://s3.amazonaws.com/theirs' };
    await core.ask(ALICE, 'Prove', proveOf(repository, { makeBucket: true }));
    assert.deepEqual(
      jobs.map(({ makeBucket, values }) => [makeBucket, values['bucket']]),
      [
        [true, 'mine'],
        [true, 'mine'],
        [true, undefined],
      ],
    );
    assert.equal((await core.call(ALICE, 'Get', { name: 'cio_aws_bucket' })).error, `${INTERFACE_NAME}.NotFound`);
  });
});
