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

/** The number of changed sets that are remembered. */
const CHANGED_MAX = 10_000;

describe('SeenFields', () => {
  it('has a bit for each field in what bitwise operators keep', () => {
    assert.ok(FIELD_IDS.length < 31, `${FIELD_IDS.length}`);
  });

  it('returns the seen fields of a set, in the order of the fields, and all fields of a set it has not seen', async (t) => {
    const core = await startCore(t);
    const names = ['cio_aws_access_key', 'cio_aws_backup_repo', 'token'];
    await core.create(ROOT, ...names);
    using seen = new SeenFields(new ChangedSets(core.vault));
    for (const name of names) seen.add(recordOf(core, name), true);
    const fields = ['access_key', 'backup_repo'];
    assert.deepEqual(
      seen.fieldsOf('system', 'aws'),
      FIELD_IDS.filter((field) => fields.includes(field)),
    );
    assert.deepEqual(seen.fieldsOf('uid:3001', 'aws'), FIELD_IDS);
    assert.deepEqual(seen.fieldsOf('system', 'minio'), FIELD_IDS);
    assert.deepEqual(seen.missed(), []);
  });

  it('lists the sets that are to be listed, in the order in which they were seen', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_region', 'cio_minio_access_key', 'cio_s3_region', 'token');
    using seen = new SeenFields(new ChangedSets(core.vault));
    const add = (name: string, isListed: boolean): void => seen.add(recordOf(core, name), isListed);
    add('cio_s3_region', true);
    add('cio_minio_access_key', false);
    add('cio_aws_region', true);
    add('cio_aws_access_key', false);
    add('token', true);
    assert.deepEqual(
      [...seen.listed()],
      [
        { space: 'system', set: 's3' },
        { space: 'system', set: 'aws' },
      ],
    );
    assert.equal(seen.size, 3);
    assert.deepEqual(seen.fieldsOf('system', 'aws'), ['access_key', 'region']);
  });

  it('returns all fields of a changed set, and lists a changed set of which it saw no field', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_minio_access_key');
    using seen = new SeenFields(new ChangedSets(core.vault));
    for (const set of ['aws', 'minio']) seen.add(recordOf(core, `cio_${set}_access_key`), true);
    await core.create(ROOT, 'cio_aws_backup_repo', 'cio_s3_region', 'token');
    assert.deepEqual(seen.fieldsOf('system', 'aws'), FIELD_IDS);
    assert.deepEqual(seen.fieldsOf('system', 'minio'), ['access_key']);
    assert.deepEqual(seen.missed(), [{ space: 'system', set: 's3' }]);
  });

  it('returns all fields of a set after a grant or revocation', async (t) => {
    const core = await startCore(t);
    const sets = ['aws', 'minio', 's3', 'google'];
    await core.create(ROOT, 'token', ...sets.map((set) => `cio_${set}_access_key`));
    await core.ask(ROOT, 'Grant', { target: 'cio_s3_access_key', grantees: [{ uid: 3001 }] });
    using seen = new SeenFields(new ChangedSets(core.vault));
    for (const set of sets) seen.add(recordOf(core, `cio_${set}_access_key`), true);
    for (const target of ['minio', 'token']) await core.ask(ROOT, 'Grant', { target, grantees: [{ uid: 3001 }] });
    await core.ask(ROOT, 'Revoke', { target: 'cio_s3_access_key', grantees: [{ uid: 3001 }] });
    assert.deepEqual(
      sets.map((set) => seen.fieldsOf('system', set) === FIELD_IDS),
      [false, true, true, false],
    );
    assert.deepEqual(seen.missed(), []);
  });

  it('returns all fields if anything may have changed', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    using seen = new SeenFields(new ChangedSets(core.vault));
    seen.add(recordOf(core, 'cio_aws_access_key'), true);
    assert.deepEqual(seen.fieldsOf('system', 'aws'), ['access_key']);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(seen.fieldsOf('system', 'aws'), FIELD_IDS);
  });

  it('returns all fields after more changes than it remembers', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key');
    const watch = t.mock.method(core.vault, 'watch');
    using seen = new SeenFields(new ChangedSets(core.vault));
    const record = recordOf(core, 'cio_aws_access_key');
    seen.add(record, true);
    const tell = (first: number, count: number): void => {
      const credentials = Array.from({ length: count }, (_, index) => ({
        ...record,
        name: `cio_s3_${first + index}_region`,
      }));
      watch.mock.calls[0]?.arguments[0]({ credentials, healths: [], grants: [] });
    };
    tell(0, CHANGED_MAX);
    assert.deepEqual(seen.fieldsOf('system', 'aws'), ['access_key']);
    assert.equal(seen.missed().length, CHANGED_MAX);
    tell(CHANGED_MAX, 1);
    assert.deepEqual(seen.fieldsOf('system', 'aws'), FIELD_IDS);
    assert.deepEqual(seen.missed(), []);
  });

  it('is not affected by another instance that began long before', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_minio_access_key');
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
      for (const name of ['cio_aws_access_key', 'cio_minio_access_key']) seen.add(recordOf(core, name), true);
    }
    tell('s3', 'b2');
    assert.deepEqual(early.fieldsOf('system', 'aws'), FIELD_IDS, 'something is forgotten that changed since it began');
    assert.deepEqual(late.fieldsOf('system', 'aws'), ['access_key']);
    assert.deepEqual(late.fieldsOf('system', 'minio'), ['access_key'], 'it changed before');
    assert.deepEqual(early.missed(), []);
    assert.deepEqual(
      late.missed().map(({ set }) => set),
      ['s3', 'b2'],
    );
  });

  it('records no changes after it is disposed', async (t) => {
    const core = await startCore(t);
    const changes = new ChangedSets(core.vault);
    const seen = new SeenFields(changes);
    seen[Symbol.dispose]();
    await core.create(ROOT, 'cio_aws_access_key');
    assert.deepEqual(seen.missed(), []);
    assert.deepEqual(changes.changed(0), []);
  });

  it('forgets the changes once no instance is in use', async (t) => {
    const core = await startCore(t);
    const changes = new ChangedSets(core.vault);
    const [first, second] = [new SeenFields(changes), new SeenFields(changes)];
    await core.create(ROOT, 'cio_aws_access_key');
    first[Symbol.dispose]();
    assert.deepEqual(second.missed(), [{ space: 'system', set: 'aws' }]);
    second[Symbol.dispose]();
    assert.deepEqual(changes.changed(0), []);
  });
});
