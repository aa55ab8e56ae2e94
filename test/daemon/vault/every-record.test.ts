import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { everyRecord } from '../../../daemon/vault/every-record.ts';
import { TestVault } from './open-vault.ts';
import { putRow } from './raw-file.ts';

describe('everyRecord()', () => {
  for (const count of [0, 1, 199, 200, 201, 400, 450]) {
    it(`yields each of ${count} records once, in order, and lets the event loop turn in between`, async (t) => {
      const made = await (
        await TestVault.create(t)
      ).tampered((database) =>
        database.transaction(() => {
          for (let index = 0; index < count; index += 1) {
            putRow(database, { kind: KIND.value, tag: randomBytes(16), body: Buffer.of(1) });
          }
          putRow(database, { kind: KIND.credential, tag: randomBytes(16), body: Buffer.of(1) });
        })(),
      );
      let turns = 0;
      const takeTurn = (): void => {
        turns += 1;
        immediate = setImmediate(takeTurn);
      };
      let immediate = setImmediate(takeTurn);
      t.after(() => clearImmediate(immediate));
      const tags: string[] = [];
      for await (const { kind, tag } of everyRecord(made.store, KIND.value)) {
        assert.equal(kind, KIND.value);
        tags.push(Buffer.from(tag).toString('hex'));
      }
      assert.equal(tags.length, count);
      assert.deepEqual(tags, [...new Set(tags)].toSorted());
      assert.ok(turns >= Math.floor(count / 200), `${turns}`);
    });
  }

  it('reads only a few values into memory at a time', async (t) => {
    const { store } = await TestVault.create(t);
    const limits: number[] = [];
    const list = t.mock.method(store, 'list', (_kind: number, _after: unknown, limit: number) => {
      limits.push(limit);
      return [];
    });
    for (const kind of [KIND.value, KIND.credential]) {
      for await (const _ of everyRecord(store, kind)) assert.fail('there is none');
    }
    list.mock.restore();
    assert.deepEqual(limits, [32, 200]);
  });
});
