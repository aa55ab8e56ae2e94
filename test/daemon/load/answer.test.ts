import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerLoad } from '../../../daemon/load/answer.ts';
import { ALICE, ROOT, restartCore, startCore } from '../core.ts';
import type { Core } from '../core.ts';
import { saveVersion } from '../../../daemon/methods/save-version.ts';
import type { VaultReader } from '../../../daemon/vault/reader.ts';
import { VALUE_IN_OWN_RECORD, flipBit, newTags, recordsIn } from '../damage.ts';

const AWS = {
  cio_aws_backup_repo: 's3:https://s3.amazonaws.com/backup-123',
  cio_aws_access_key: 'AKIAYHD623GGZX7VDFMJ',
  cio_aws_secret_key: 'secret+key/of=aws',
  cio_aws_backup_password: 'pass "word" $1 \\ `id`',
};

const AWS_ENV = String.raw`RESTIC_REPOSITORY="s3:https://s3.amazonaws.com/backup-123"
AWS_ACCESS_KEY_ID="AKIAYHD623GGZX7VDFMJ"
AWS_SECRET_ACCESS_KEY="secret+key/of=aws"
RESTIC_PASSWORD="pass \"word\" \$1 \\ \`id\`"
RCLONE_CONFIG_AWS_TYPE="s3"
RCLONE_CONFIG_AWS_PROVIDER="AWS"
RCLONE_CONFIG_AWS_ACCESS_KEY_ID="AKIAYHD623GGZX7VDFMJ"
RCLONE_CONFIG_AWS_SECRET_ACCESS_KEY="secret+key/of=aws"
`;

/** Returns what a unit gets: the text, `waits`, or the reason for a refusal. */
function ask(core: Core, id: string, unit = 'restic.service'): string {
  const answer = answerLoad(core.vault, { unit, id });
  return answer.kind === 'value'
    ? Buffer.from(answer.bytes).toString()
    : answer.kind === 'waits'
      ? 'waits'
      : answer.reason;
}

async function grant(core: Core, target: string, unit = 'restic.service', missing?: 'block' | 'fail'): Promise<void> {
  await core.ask(ROOT, 'Grant', { target, grantees: [{ unit, ...(missing && { missing }) }] });
}

async function keepAws(core: Core, without?: string): Promise<void> {
  const credentials = Object.entries(AWS).map(([name, value]) => ({ name, value }));
  await core.create(ROOT, ...credentials.filter(({ name }) => name !== without));
}

describe('answerLoad()', () => {
  it('returns a credential to a unit that it was granted to, and to no other', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: 'token', data: 'AP+A' }, 'other');
    await grant(core, 'token');
    const answer = answerLoad(core.vault, { unit: 'restic.service', id: 'token' });
    assert.deepEqual(answer, { kind: 'value', bytes: Uint8Array.of(0, 255, 128) });
    assert.equal(ask(core, 'other'), 'not_granted');
    for (const unit of ['restic@.service', 'restic@x.service', 'xrestic.service', 'restic.socket', 'init.scope']) {
      assert.equal(ask(core, 'token', unit), 'not_granted', unit);
    }
  });

  it('answers alike for what is not granted and what does not exist', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token', ...Object.keys(AWS));
    const ids = ['token', 'nothing', 'aws.env', 'minio.env'];
    for (const id of ids) assert.equal(ask(core, id), 'not_granted', id);
    // Nor if the unit may wait for something else.
    await grant(core, 'other', 'restic.service', 'block');
    for (const id of ids) assert.equal(ask(core, id), 'not_granted', id);
    assert.equal(ask(core, '_.env'), 'not_a_name');
  });

  it('serves an instance what was granted to its template or to itself', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'one', 'all');
    await grant(core, 'all', 'restic@.service');
    await grant(core, 'one', 'restic@home.service');
    assert.equal(ask(core, 'all', 'restic@home.service'), 'value-of-all');
    assert.equal(ask(core, 'all', 'restic@srv.service'), 'value-of-all');
    assert.equal(ask(core, 'one', 'restic@home.service'), 'value-of-one');
    assert.equal(ask(core, 'one', 'restic@srv.service'), 'not_granted');
    assert.equal(ask(core, 'all', 'restic.service'), 'not_granted');
  });

  it('returns the current version, also under other spellings of the name', async (t) => {
    const core = await startCore(t);
    await keepAws(core);
    await core.replace(ROOT, 'cio_aws_backup_password', 'the new one');
    await grant(core, 'aws');
    assert.equal(ask(core, 'cio_aws_backup_password'), 'the new one');
    assert.equal(ask(core, 'cio_aws_restic_password'), 'the new one');
  });

  it('returns a set in one file, in the form of its extension', async (t) => {
    const core = await startCore(t);
    await keepAws(core);
    await grant(core, 'aws');
    assert.equal(ask(core, 'aws.env'), AWS_ENV);
    assert.deepEqual(JSON.parse(ask(core, 'aws.json')), {
      backup_repo: AWS.cio_aws_backup_repo,
      access_key: AWS.cio_aws_access_key,
      secret_key: AWS.cio_aws_secret_key,
      backup_password: AWS.cio_aws_backup_password,
    });
    assert.equal(
      ask(core, 'aws.aws'),
      '[default]\naws_access_key_id = AKIAYHD623GGZX7VDFMJ\naws_secret_access_key = secret+key/of=aws\n',
    );
    assert.equal(ask(core, 'aws.yaml'), 'not_granted');
    assert.equal(ask(core, '.env'), 'not_a_name');
    assert.equal(ask(core, 'aws'), 'not_granted');
  });

  it('returns a set if every field was granted by name, and not if one was not', async (t) => {
    const core = await startCore(t);
    await keepAws(core);
    for (const name of Object.keys(AWS)) {
      assert.equal(ask(core, 'aws.env'), 'not_granted');
      await grant(core, name);
    }
    assert.equal(ask(core, 'aws.env'), AWS_ENV);
  });

  it('refuses a set of which the unit may not read every field, even an optional one', async (t) => {
    const core = await startCore(t);
    await keepAws(core);
    for (const name of Object.keys(AWS)) await grant(core, name);
    assert.equal(ask(core, 'aws.env'), AWS_ENV);
    await core.create(ROOT, { name: 'cio_aws_session_token', value: 'token-of-temporary-keys' });
    for (const form of ['env', 'json', 'aws']) assert.equal(ask(core, `aws.${form}`), 'not_granted', form);
    await grant(core, 'cio_aws_session_token');
    assert.match(ask(core, 'aws.aws'), /aws_session_token = token-of-temporary-keys/);
  });

  it('prefers a credential to a set file of the same name', async (t) => {
    const core = await startCore(t);
    await keepAws(core);
    await core.create(ROOT, 'aws.env');
    await grant(core, 'aws');
    assert.equal(ask(core, 'aws.env'), AWS_ENV, 'it was not granted');
    await grant(core, 'aws.env');
    assert.equal(ask(core, 'aws.env'), 'value-of-aws.env');
  });

  it('refuses a set that lacks a field', async (t) => {
    const core = await startCore(t);
    await keepAws(core, 'cio_aws_secret_key');
    await grant(core, 'aws');
    for (const form of ['env', 'json', 'aws']) assert.equal(ask(core, `aws.${form}`), 'incomplete', form);
    await core.create(ROOT, { name: 'cio_aws_secret_key', value: 's' });
    assert.match(ask(core, 'aws.env'), /^RESTIC_REPOSITORY=/);
  });

  it('refuses a set in a form that cannot hold it', async (t) => {
    const core = await startCore(t);
    await keepAws(core);
    await grant(core, 'aws');
    // Create refuses such values, but an older daemon may have stored some.
    const put = (value: Uint8Array): Promise<unknown> =>
      core.vault.write((writer) => {
        const [space, name] = ['system', 'cio_aws_backup_password'] as const;
        const existing = writer.credential(space, name);
        return saveVersion(writer, { space, name, existing, value, changed: 0, changedBy: 0 });
      });
    const password = (): unknown => (JSON.parse(ask(core, 'aws.json')) as Record<string, unknown>)['backup_password'];
    await put(Buffer.from('a\0b'));
    assert.equal(ask(core, 'aws.env'), 'unfit_for_form', 'no environment has a NUL');
    assert.equal(password(), 'a\0b');
    await put(Buffer.from('\ufeffx'));
    assert.equal(password(), '\ufeffx', 'no byte is left out');
    await put(Uint8Array.of(0xff));
    for (const form of ['env', 'json', 'aws']) assert.equal(ask(core, `aws.${form}`), 'unfit_for_form', form);
  });

  it('wipes the values from which it made a set file', async (t) => {
    const core = await startCore(t);
    await keepAws(core);
    await grant(core, 'aws');
    const values: Uint8Array[] = [];
    const read = core.vault.read.bind(core.vault);
    t.mock.method(core.vault, 'read', (work: (reader: VaultReader) => unknown) =>
      read((reader) => {
        const value = reader.value.bind(reader);
        t.mock.method(reader, 'value', (...args: Parameters<VaultReader['value']>) => {
          const bytes = value(...args);
          values.push(bytes);
          return bytes;
        });
        return work(reader);
      }),
    );
    assert.equal(ask(core, 'aws.env'), AWS_ENV);
    assert.equal(values.length, Object.keys(AWS).length);
    for (const bytes of values) assert.ok(bytes.length > 0 && bytes.every((byte) => byte === 0));
  });

  it('does not turn a defect into a refusal', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await grant(core, 'token');
    core.store.failWith(new RangeError('by the test'));
    assert.throws(() => ask(core, 'token'), RangeError);
  });

  it('returns nothing from another user’s space, whatever that user granted', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'token');
    await core.ask(ALICE, 'Grant', { target: 'token', grantees: [{ unit: 'restic.service' }] });
    assert.equal(ask(core, 'token'), 'not_granted');
    await core.create(ROOT, 'token');
    assert.equal(ask(core, 'token'), 'not_granted', 'the grant is of the other one');
    await core.create(ALICE, 'cio_aws_region');
    const grantees = [{ unit: 'restic.service', missing: 'block' as const }];
    await core.ask(ALICE, 'Grant', { target: 'aws', grantees });
    assert.equal(ask(core, 'aws.env'), 'not_granted', 'nor does the unit wait');
  });

  it('refuses if the store is locked, or if the value is damaged', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'good');
    const before = recordsIn(core.storePath, 'value');
    await core.replace(ROOT, 'token', VALUE_IN_OWN_RECORD);
    const [tag = ''] = newTags(before, recordsIn(core.storePath, 'value'));
    await grant(core, 'token');
    await grant(core, 'good');
    await core.vault.lock();
    assert.equal(ask(core, 'token'), 'Locked');
    const damaged = await restartCore(t, core, () => flipBit(core.storePath, 'value', tag));
    assert.equal(ask(damaged, 'token'), 'Damaged');
    assert.equal(ask(damaged, 'good'), 'value-of-good');
  });

  it('refuses an invalid name', async (t) => {
    const core = await startCore(t);
    for (const id of ['UPPER', '-', '~', 'a'.repeat(129), '0191e1f0-7c3a-5000-8000-00000000000a']) {
      assert.equal(ask(core, id), 'not_a_name', id);
    }
  });

  it('lets a unit wait for a missing credential until it is stored', async (t) => {
    const core = await startCore(t);
    await grant(core, 'token', 'restic.service', 'block');
    await grant(core, 'aws', 'restic@.service', 'block');
    assert.equal(ask(core, 'token'), 'waits');
    assert.equal(ask(core, 'token', 'other.service'), 'not_granted');
    for (const id of ['aws.env', 'cio_aws_secret_key']) assert.equal(ask(core, id, 'restic@a.service'), 'waits', id);
    await core.create(ROOT, 'token');
    assert.equal(ask(core, 'token'), 'value-of-token');
    await keepAws(core, 'cio_aws_secret_key');
    assert.equal(ask(core, 'aws.env', 'restic@a.service'), 'waits', 'it is not complete');
    await core.create(ROOT, { name: 'cio_aws_secret_key', value: AWS.cio_aws_secret_key });
    assert.equal(ask(core, 'aws.env', 'restic@a.service'), AWS_ENV);
  });

  it('lets a unit wait if any of its grants allows that', async (t) => {
    const core = await startCore(t);
    await keepAws(core, 'cio_aws_secret_key');
    await grant(core, 'aws', 'restic@a.service', 'fail');
    assert.equal(ask(core, 'aws.env', 'restic@a.service'), 'incomplete');
    await grant(core, 'aws', 'restic@.service', 'block');
    assert.equal(ask(core, 'aws.env', 'restic@a.service'), 'waits');
  });

  it('lets no unit wait for a removed credential: its grants were removed with it', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    await grant(core, 'token', 'restic.service', 'block');
    await core.ask(ROOT, 'Remove', { names: ['token'] });
    assert.equal(ask(core, 'token'), 'not_granted');
  });
});
