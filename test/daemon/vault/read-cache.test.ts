import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { MaskedValues } from '../../../daemon/vault/masked-values.ts';
import { ReadCache } from '../../../daemon/vault/read-cache.ts';
import type { SealedValue } from '../../../daemon/vault/read-cache.ts';
import type { CredentialRecord, Space } from '../../../daemon/vault/records.ts';

function record(name: string, space: Space = 'system'): CredentialRecord {
  const versions = [{ version: 1, generation: 1, changed: 1, changedBy: 0, size: 1 }];
  return { id: name, space, name, created: 1, createdBy: 0, versions };
}

function sealed(version: number, bytes: number): SealedValue {
  const record = { kind: KIND.value, tag: new Uint8Array(16), body: new Uint8Array(bytes) };
  return { version, record, isRead: false };
}

function text(value: Uint8Array): { text: string } {
  return { text: Buffer.from(value).toString() };
}

/** Looking up an entry counts as use, which may evict an older one. */
function newestFirst(entries: number): number[] {
  return Array.from({ length: entries }, (_, index) => entries - 1 - index);
}

describe('ReadCache', () => {
  it('returns the kept record, by space and name', () => {
    const cache = new ReadCache(new MaskedValues());
    const [shared, mine] = [record('a'), record('a', 'uid:1')];
    cache.keepRecord(shared);
    cache.keepRecord(mine);
    assert.equal(cache.record('system', 'a'), shared);
    assert.equal(cache.record('uid:1', 'a'), mine);
    assert.equal(cache.record('uid:2', 'a'), undefined);
    assert.equal(cache.record('system', 'b'), undefined);
  });

  it('does not confuse spaces and names that concatenate to the same text', () => {
    const cache = new ReadCache(new MaskedValues());
    const places = [
      ['uid:1', '1a'],
      ['uid:11', 'a'],
      ['system', 'uid:1a'],
      ['uid:1', 'a'],
    ] as const;
    const records = places.map(([space, name]) => record(name, space));
    for (const each of records) {
      cache.keepRecord(each);
      cache.keepValue(each, 1, Buffer.from(`${each.space}'s ${each.name}`));
    }
    for (const each of records) {
      assert.equal(cache.record(each.space, each.name), each);
      assert.deepEqual(cache.openFor(each, 1, text), { text: `${each.space}'s ${each.name}` });
    }
  });

  it('remembers that a name is absent, until it is stored', () => {
    const cache = new ReadCache(new MaskedValues());
    cache.keepAbsent('system', 'a');
    assert.equal(cache.isAbsent('system', 'a'), true);
    assert.equal(cache.isAbsent('uid:1', 'a'), false);
    assert.equal(cache.isAbsent('system', 'b'), false);
    cache.forget([record('a', 'uid:1'), record('b')]);
    assert.equal(cache.isAbsent('system', 'a'), true);
    cache.forget([record('a')]);
    assert.equal(cache.isAbsent('system', 'a'), false);
  });

  it('limits the number of absent names', () => {
    const cache = new ReadCache(new MaskedValues());
    for (let index = 0; index < 20_000; index += 1) cache.keepAbsent('system', `n${index}`);
    const known = newestFirst(20_000).map((index) => cache.isAbsent('system', `n${index}`));
    assert.ok(known.filter(Boolean).length <= 8192);
    assert.ok(known.slice(0, 4096).every(Boolean));
  });

  it('forgets changed credentials, and nothing else', () => {
    const cache = new ReadCache(new MaskedValues());
    for (const name of ['a', 'b']) cache.keepRecord(record(name));
    cache.forget([record('a'), record('never known')]);
    assert.equal(cache.record('system', 'a'), undefined);
    assert.equal(cache.record('system', 'b')?.name, 'b');
  });

  it('remembers the members of a set until one of its fields changes, comes or goes', () => {
    for (const changed of ['cio_aws_region', 'cio_aws_access_key']) {
      const cache = new ReadCache(new MaskedValues());
      const members = new Map([['region', record('cio_aws_region')]]);
      cache.keepSetMembers('system', 'aws', members);
      cache.forget([record(changed, 'uid:1'), record('cio_aws_alt_region'), record('cio_minio_region'), record('a')]);
      assert.equal(cache.setMembers('system', 'aws'), members);
      assert.equal(cache.setMembers('uid:1', 'aws'), undefined);
      cache.forget([record(changed)]);
      assert.equal(cache.setMembers('system', 'aws'), undefined);
    }
  });

  it('does not remember a set under a non-canonical name, which no change would invalidate', () => {
    const cache = new ReadCache(new MaskedValues());
    cache.keepSetMembers('system', 'alt_aws', new Map());
    assert.equal(cache.setMembers('system', 'alt_aws'), undefined);
  });

  it('limits the number of sets', () => {
    const cache = new ReadCache(new MaskedValues());
    for (let index = 0; index < 1000; index += 1) cache.keepSetMembers('system', `s${index}`, new Map());
    const known = newestFirst(1000).map((index) => cache.setMembers('system', `s${index}`) !== undefined);
    assert.ok(known.filter(Boolean).length <= 256);
    assert.ok(known.slice(0, 128).every(Boolean));
  });

  it('keeps a value with its record object: a record that is read anew has none', () => {
    const cache = new ReadCache(new MaskedValues());
    const old = record('a');
    const value = sealed(1, 300);
    cache.keepSealedValue(old, value);
    assert.equal(cache.sealedValue(old, 1), value);
    assert.equal(cache.sealedValue(old, 2), undefined);
    assert.equal(cache.sealedValue(record('a'), 1), undefined);
  });

  it('does not keep large values', () => {
    const cache = new ReadCache(new MaskedValues());
    const large = record('a');
    cache.keepSealedValue(large, sealed(1, 4097));
    assert.equal(cache.sealedValue(large, 1), undefined);
    cache.keepSealedValue(large, sealed(1, 4096));
    assert.notEqual(cache.sealedValue(large, 1), undefined);
  });

  it('limits the number of records, and keeps the most recently used ones', () => {
    const cache = new ReadCache(new MaskedValues());
    for (let index = 0; index < 5000; index += 1) {
      cache.keepRecord(record(`n${index}`));
      assert.equal(cache.record('system', 'n0')?.name, 'n0');
    }
    const known = newestFirst(5000).map((index) => cache.record('system', `n${index}`) !== undefined);
    assert.ok(known.filter(Boolean).length <= 2048);
    assert.ok(known.slice(0, 1000).every(Boolean));
  });

  it('returns a kept value only for the same version of the same record object', () => {
    const cache = new ReadCache(new MaskedValues());
    const [shared, mine] = [record('a'), record('a', 'uid:1')];
    cache.keepValue(shared, 1, Buffer.from('shared'));
    cache.keepValue(mine, 1, Buffer.from('mine'));
    assert.deepEqual(cache.openFor(shared, 1, text), { text: 'shared' });
    assert.deepEqual(cache.openFor(mine, 1, text), { text: 'mine' });
    assert.equal(cache.openFor(shared, 2, text), undefined);
    assert.equal(cache.openFor(record('a'), 1, text), undefined);
  });

  it('starts without the values that an earlier cache kept', () => {
    const masked = new MaskedValues();
    const a = record('a');
    new ReadCache(masked).keepValue(a, 1, Buffer.from('value'));
    assert.ok(masked.memory.some((block) => block.some((byte) => byte !== 0)));
    const cache = new ReadCache(masked);
    assert.equal(cache.openFor(a, 1, text), undefined);
    assert.ok(masked.memory.every((block) => block.every((byte) => byte === 0)));
  });

  it('wipes a value that changes, even while a caller still holds its record', () => {
    const masked = new MaskedValues();
    const cache = new ReadCache(masked);
    const old = record('a');
    cache.keepValue(old, 1, Buffer.from('value'));
    cache.forget([record('b'), record('a', 'uid:1')]);
    assert.deepEqual(cache.openFor(old, 1, text), { text: 'value' });
    cache.forget([record('a')]);
    assert.equal(cache.openFor(old, 1, text), undefined);
    assert.ok(masked.memory.every((block) => block.every((byte) => byte === 0)));
  });
});
