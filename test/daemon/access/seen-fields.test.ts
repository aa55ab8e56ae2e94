import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChangedSets } from '../../../daemon/access/changed-sets.ts';
import { SeenFields } from '../../../daemon/access/seen-fields.ts';
import type { CredentialRecord } from '../../../daemon/vault/records.ts';
import { FIELD_IDS } from '../../../src/providers/registry.ts';
import { ROOT, startCore } from '../core.ts';
import type { Core } from '../core.ts';

function recordOf(core: Core, name: string): CredentialRecord {
  return core.vault.read((reader) => reader.credential('system', name)) ?? assert.fail();
}

/** Sets whose changes are remembered. */
const CHANGED_MAX = 10_000;

describe('SeenFields', () => {
  it('knows the fields that came by of a set, in the order of the fields, and nothing of another one', async (t) => {
    const core = await startCore(t);
    const names = ['cio_aws_access_key', 'cio_aws_backup_repo', 'token'];
    await core.keep(ROOT, ...names);
    using seen = new SeenFields(new ChangedSets(core.vault));
    for (const name of names) seen.add(recordOf(core, name));
    const fields = ['access_key', 'backup_repo'];
    assert.deepEqual(
      seen.of('system', 'aws'),
      FIELD_IDS.filter((field) => fields.includes(field)),
    );
    assert.deepEqual(seen.of('uid:3001', 'aws'), FIELD_IDS);
    assert.deepEqual(seen.of('system', 'minio'), FIELD_IDS);
    assert.deepEqual(seen.missed(), []);
  });

  it('knows nothing of a set that changes, and tells of one that came by in nothing', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'cio_aws_access_key', 'cio_minio_access_key');
    using seen = new SeenFields(new ChangedSets(core.vault));
    for (const set of ['aws', 'minio']) seen.add(recordOf(core, `cio_${set}_access_key`));
    await core.keep(ROOT, 'cio_aws_backup_repo', 'cio_s3_region', 'token');
    assert.deepEqual(seen.of('system', 'aws'), FIELD_IDS);
    assert.deepEqual(seen.of('system', 'minio'), ['access_key']);
    assert.deepEqual(seen.missed(), [{ space: 'system', set: 's3' }]);
  });

  it('knows nothing of a set of which something is granted, or taken back', async (t) => {
    const core = await startCore(t);
    const sets = ['aws', 'minio', 's3', 'google'];
    await core.keep(ROOT, 'token', ...sets.map((set) => `cio_${set}_access_key`));
    await core.ask(ROOT, 'Grant', { target: 'cio_s3_access_key', grantees: [{ uid: 3001 }] });
    using seen = new SeenFields(new ChangedSets(core.vault));
    for (const set of sets) seen.add(recordOf(core, `cio_${set}_access_key`));
    for (const target of ['minio', 'token']) await core.ask(ROOT, 'Grant', { target, grantees: [{ uid: 3001 }] });
    await core.ask(ROOT, 'Revoke', { target: 'cio_s3_access_key', grantees: [{ uid: 3001 }] });
    assert.deepEqual(
      sets.map((set) => seen.of('system', set) === FIELD_IDS),
      [false, true, true, false],
    );
    assert.deepEqual(seen.missed(), []);
  });

  it('knows nothing where anything may have changed', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'cio_aws_access_key');
    using seen = new SeenFields(new ChangedSets(core.vault));
    seen.add(recordOf(core, 'cio_aws_access_key'));
    assert.deepEqual(seen.of('system', 'aws'), ['access_key']);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(seen.of('system', 'aws'), FIELD_IDS);
  });

  it('knows nothing where more changes than it keeps in mind', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'cio_aws_access_key');
    const watch = t.mock.method(core.vault, 'watch');
    using seen = new SeenFields(new ChangedSets(core.vault));
    const record = recordOf(core, 'cio_aws_access_key');
    seen.add(record);
    const tell = (first: number, count: number): void => {
      const credentials = Array.from({ length: count }, (_, index) => ({
        ...record,
        name: `cio_s3_${first + index}_region`,
      }));
      watch.mock.calls[0]?.arguments[0]({ credentials, healths: [], grants: [] });
    };
    tell(0, CHANGED_MAX);
    assert.deepEqual(seen.of('system', 'aws'), ['access_key']);
    assert.equal(seen.missed().length, CHANGED_MAX);
    tell(CHANGED_MAX, 1);
    assert.deepEqual(seen.of('system', 'aws'), FIELD_IDS);
    assert.deepEqual(seen.missed(), []);
  });

  it('does not know less because somebody else began long before', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'cio_aws_access_key', 'cio_minio_access_key');
    const watch = t.mock.method(core.vault, 'watch');
    const changes = new ChangedSets(core.vault);
    const record = recordOf(core, 'cio_aws_access_key');
    const tell = (...sets: readonly string[]): void => {
      const credentials = sets.map((set) => ({ ...record, name: `cio_${set}_access_key` }));
      watch.mock.calls[0]?.arguments[0]({ credentials, healths: [], grants: [] });
    };
    using early = new SeenFields(changes);
    tell('minio', 's3', ...Array.from({ length: CHANGED_MAX - 2 }, (_, index) => `s3_${index}`));
    using late = new SeenFields(changes);
    for (const seen of [early, late]) {
      for (const name of ['cio_aws_access_key', 'cio_minio_access_key']) seen.add(recordOf(core, name));
    }
    tell('s3', 'b2');
    assert.deepEqual(early.of('system', 'aws'), FIELD_IDS, 'something is forgotten that changed since it began');
    assert.deepEqual(late.of('system', 'aws'), ['access_key']);
    assert.deepEqual(late.of('system', 'minio'), ['access_key'], 'it changed before');
    assert.deepEqual(early.missed(), []);
    assert.deepEqual(
      late.missed().map(({ set }) => set),
      ['s3', 'b2'],
    );
  });

  it('hears of nothing when it is done', async (t) => {
    const core = await startCore(t);
    const changes = new ChangedSets(core.vault);
    const seen = new SeenFields(changes);
    seen[Symbol.dispose]();
    await core.keep(ROOT, 'cio_aws_access_key');
    assert.deepEqual(seen.missed(), []);
    assert.deepEqual(changes.changed(0), []);
  });

  it('forgets what changed when nobody goes through the store any more', async (t) => {
    const core = await startCore(t);
    const changes = new ChangedSets(core.vault);
    const [first, second] = [new SeenFields(changes), new SeenFields(changes)];
    await core.keep(ROOT, 'cio_aws_access_key');
    first[Symbol.dispose]();
    assert.deepEqual(second.missed(), [{ space: 'system', set: 'aws' }]);
    second[Symbol.dispose]();
    assert.deepEqual(changes.changed(0), []);
  });
});
