import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { HealthRecord, Space } from '../../../daemon/vault/records.ts';
import { Canaries, assertUnseen } from '../../support/canary.ts';
import { NOW, TestVault } from './open-vault.ts';
import { deleteRow, putRow, rowsOf } from './raw-file.ts';

function failed(space: Space, set: string, generation = 1): HealthRecord {
  const finding = { check: 'bucket', state: 'failed', reason: 'no_such_bucket', subject: 'a-bucket' } as const;
  return { space, set, generation, state: 'failed', checked: NOW, good: NOW - 1, finding };
}

function put(opened: TestVault, record: HealthRecord): Promise<void> {
  return opened.vault.write((writer) => writer.putHealth(record));
}

function healthOf({ vault }: TestVault, space: Space, set: string): HealthRecord | undefined {
  return vault.read((reader) => reader.health(space, set));
}

async function storeWithHealth(t: Parameters<typeof TestVault.create>[0]): Promise<TestVault> {
  const made = await TestVault.create(t);
  await made.save('cio_aws_access_key', 'shared');
  await made.save('cio_aws_secret_key', 'secret');
  await made.save('cio_aws_access_key', 'of a user', 'uid:1000');
  await put(made, failed('system', 'aws', 2));
  await put(made, failed('uid:1000', 'aws'));
  return made;
}

describe('the stored health of a set', () => {
  it('survives a restart and a rekey, separately for each owner, and fsck finds no problem', async (t) => {
    let opened = await storeWithHealth(t);
    const check = async (): Promise<void> => {
      assert.deepEqual(healthOf(opened, 'system', 'aws'), failed('system', 'aws', 2));
      assert.deepEqual(healthOf(opened, 'uid:1000', 'aws'), failed('uid:1000', 'aws'));
      assert.equal(healthOf(opened, 'uid:1001', 'aws'), undefined);
      assert.equal(opened.vault.read((reader) => reader.healths(undefined, 10)).records.length, 2);
      assert.deepEqual((await opened.fsck()).problems, []);
    };
    await check();
    opened = await opened.reopened();
    await check();
    await opened.rekey();
    await check();
    opened = await opened.reopened();
    await check();
  });

  it('is listed page by page', async (t) => {
    const made = await TestVault.create(t);
    const sets = Array.from({ length: 7 }, (_, index) => `minio_${index}`);
    for (const set of sets) await put(made, failed('system', set));
    const found: string[] = [];
    let after: Uint8Array | undefined;
    do {
      const page = made.vault.read((reader) => reader.healths(after, 3));
      found.push(...page.records.map(({ set }) => set));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(found.toSorted(), sets);
  });

  it('does not advance the generation, and is deleted only with the last field of its set', async (t) => {
    const made = await storeWithHealth(t);
    const generation = made.vault.read((reader) => reader.principal('system')?.generation);
    await put(made, failed('system', 'aws', 2));
    assert.equal(
      made.vault.read((reader) => reader.principal('system')?.generation),
      generation,
    );
    await made.remove('cio_aws_access_key');
    assert.notEqual(healthOf(made, 'system', 'aws'), undefined);
    await made.remove('cio_aws_secret_key');
    assert.equal(healthOf(made, 'system', 'aws'), undefined);
    assert.notEqual(healthOf(made, 'uid:1000', 'aws'), undefined);
    assert.deepEqual((await made.fsck()).problems, []);
  });

  it('reveals nothing in the file but that it exists', async (t) => {
    const canaries = new Canaries();
    const made = await TestVault.create(t);
    const set = canaries.plantWord('set');
    const bucket = canaries.plantWord('bucket');
    canaries.add('reason', 'no_such_bucket');
    canaries.add('field of the record', '"checked"');
    await made.save(`cio_${set}_access_key`, 'value');
    const health = failed('system', set);
    await put(made, {
      ...health,
      finding: { check: 'bucket', state: 'failed', reason: 'no_such_bucket', subject: bucket },
    });
    await made.close();
    assertUnseen(canaries.findIn('credentials.db', fs.readFileSync(made.path)));
    assert.equal(rowsOf(made.path, KIND.health).length, 1);
  });

  it('counts as absent if its record is damaged or in the place of another; fsck reports and repairs that', async (t) => {
    const made = await storeWithHealth(t);
    const path = made.path;
    const damaged = await made.tampered((database) => {
      const [first, second] = rowsOf(path).filter(({ kind }) => kind === KIND.health);
      assert.ok(first !== undefined && second !== undefined);
      putRow(database, { ...first, body: second.body });
      putRow(database, { ...second, body: first.body });
    });
    assert.equal(healthOf(damaged, 'system', 'aws'), undefined);
    assert.equal(healthOf(damaged, 'uid:1000', 'aws'), undefined);
    assert.deepEqual(
      (await damaged.repair()).problems.filter(({ what }) => what === 'record').map(({ detail }) => detail),
      Array.from({ length: 2 }, () => 'the validation result of a set is damaged'),
    );
    assert.deepEqual((await damaged.fsck()).problems, []);
    assert.equal(damaged.value('cio_aws_secret_key'), 'secret');
    await damaged.rekey();
  });

  it('is dropped by a repair that drops its set', async (t) => {
    const made = await storeWithHealth(t);
    const path = made.path;
    const damaged = await made.tampered((database) => {
      for (const row of rowsOf(path).filter(({ kind }) => kind === KIND.credential)) deleteRow(database, row);
    });
    await damaged.repair();
    assert.deepEqual((await damaged.fsck()).problems, []);
    assert.deepEqual(damaged.vault.read((reader) => reader.healths(undefined, 10)).records, []);
  });
});
