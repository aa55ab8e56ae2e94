import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { CachedReader, Kind, SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { StagedRecords } from '../../../daemon/vault/staged-records.ts';

/** Committed records by kind and tag, and how often each was read. */
class Committed implements CachedReader {
  readonly reads: string[] = [];
  readonly #records: readonly SealedRecord[];

  constructor(...records: readonly SealedRecord[]) {
    this.#records = records;
  }

  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    this.reads.push(`${kind} ${textOf(tag)}`);
    return this.#records.find((record) => record.kind === kind && Buffer.compare(record.tag, tag) === 0)?.body;
  }

  list(kind: Kind, _after: Uint8Array | undefined, limit: number): SealedRecord[] {
    return this.#records.filter((record) => record.kind === kind).slice(0, limit);
  }

  dropCaches(): boolean {
    return true;
  }
}

const { credential, slot, value } = KIND;
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const record = (kind: Kind, tag: string, body: string): SealedRecord => ({ kind, tag: bytes(tag), body: bytes(body) });

function textOf(found: Uint8Array): string {
  return Buffer.from(found).toString('latin1');
}

function bodyIn(staged: StagedRecords, kind: Kind, tag: string): string | undefined {
  const body = staged.get(kind, bytes(tag));
  return body && textOf(body);
}

describe('StagedRecords', () => {
  it('finds a change before the committed record, and after drop() what was kept', () => {
    const staged = new StagedRecords(new Committed(record(credential, 'a', 'committed')));
    const seen: unknown[] = [];
    const note = (): void => void seen.push(bodyIn(staged, credential, 'a'));
    note();
    staged.put(credential, bytes('a'), bytes('kept'));
    note();
    staged.keep();
    staged.delete(credential, bytes('a'));
    note();
    staged.drop();
    note();
    assert.deepEqual(seen, ['committed', 'kept', undefined, 'kept']);
    assert.equal(bodyIn(staged, value, 'a'), undefined, 'another kind');
  });

  it('reads a committed record at most once, whether or not it exists', () => {
    const store = new Committed(record(credential, 'a', 'committed'));
    const staged = new StagedRecords(store);
    for (const tag of ['a', 'b', 'a', 'b']) bodyIn(staged, credential, tag);
    for (const tag of ['a', 'b']) staged.put(credential, bytes(tag), bytes('new'));
    staged.keep();
    assert.deepEqual(
      staged.kept().map((change) => staged.before(change)?.toString()),
      ['committed', undefined],
    );
    assert.deepEqual(store.reads, ['5 a', '5 b']);
  });

  it('knows a record to be absent once it was looked up, or noted as such, and reads it no more', () => {
    const store = new Committed(record(credential, 'a', 'committed'));
    const staged = new StagedRecords(store);
    const known = (tag: string): boolean => staged.isKnownAbsent(credential, bytes(tag));
    assert.deepEqual([known('a'), known('b'), known('c')], [false, false, false]);
    for (const tag of ['a', 'b']) bodyIn(staged, credential, tag);
    staged.noteAbsent(credential, bytes('c'));
    assert.deepEqual([known('a'), known('b'), known('c')], [false, true, true]);
    assert.equal(bodyIn(staged, credential, 'c'), undefined);
    staged.put(credential, bytes('b'), bytes('new'));
    assert.ok(known('b'), 'in the store it is still absent');
    assert.deepEqual(store.reads, ['5 a', '5 b']);
  });

  it('has kept changes only after keep(), and not those that were dropped', () => {
    const staged = new StagedRecords(new Committed());
    staged.put(slot, bytes('a'), bytes('dropped'));
    assert.equal(staged.hasKept, false);
    staged.drop();
    staged.keep();
    assert.equal(staged.hasKept, false);
    staged.delete(slot, bytes('a'));
    staged.keep();
    assert.deepEqual([staged.hasKept, staged.kept().length, staged.kept()[0]?.body], [true, 1, undefined]);
  });

  it('lists all records of a kind with the changes, those that are not kept yet included', () => {
    const committed = ['a', 'b', 'c'].map((tag) => record(slot, tag, 'committed'));
    const staged = new StagedRecords(new Committed(...committed, record(value, 'x', 'another kind')));
    staged.delete(slot, bytes('a'));
    staged.put(slot, bytes('b'), bytes('kept'));
    staged.put(slot, bytes('d'), bytes('kept'));
    staged.put(value, bytes('y'), bytes('another kind'));
    staged.keep();
    staged.put(slot, bytes('a'), bytes('again'));
    staged.delete(slot, bytes('d'));
    const listed = (): string[] => staged.listAll(slot, 10).map(({ tag, body }) => `${textOf(tag)} ${textOf(body)}`);
    assert.deepEqual(listed().toSorted(), ['a again', 'b kept', 'c committed']);
    staged.drop();
    assert.deepEqual(listed().toSorted(), ['b kept', 'c committed', 'd kept']);
    assert.equal(staged.listAll(slot, 1).length, 2, 'the limit is that of the committed records: a is deleted');
  });

  it('returns the kept changes once each, in the order of kind and tag, whatever their order was', () => {
    const anyPlace = fc.record({
      kind: fc.constantFrom(KIND.slot, KIND.principal, KIND.value),
      tag: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    });
    fc.assert(
      fc.property(fc.array(anyPlace, { maxLength: 20 }), (places) => {
        const staged = new StagedRecords(new Committed());
        for (const [index, { kind, tag }] of places.entries()) {
          staged.put(kind, tag, Uint8Array.of(index));
          staged.keep();
        }
        const expected = new Set(places.map(({ kind, tag }) => `${kind} ${Buffer.from(tag).toString('hex')}`));
        assert.deepEqual(
          staged.kept().map(({ kind, tag }) => `${kind} ${Buffer.from(tag).toString('hex')}`),
          [...expected].toSorted(),
        );
      }),
    );
  });
});
