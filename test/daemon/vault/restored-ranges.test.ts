import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodePrincipal, emptyPrincipal, encodeRecord } from '../../../daemon/vault/records.ts';
import type { GenerationRange, PrincipalRecord } from '../../../daemon/vault/records.ts';
import { afterRestore, isLostInRestore } from '../../../daemon/vault/restored-ranges.ts';

const RANGES_MAX = 16;

/** A step in the life of a store; a number selects one of the copies made so far. */
type Step = 'commit' | 'copy' | { readonly restore: number } | { readonly takeIn: number };

/** A space and its history: what was committed as each generation, or undefined where that is gone. */
interface Contents {
  readonly storeId: number;
  readonly record: PrincipalRecord;
  readonly history: readonly (symbol | undefined)[];
}

/** A store, the copies of it, and everything its clients have ever seen as each generation. */
class Place {
  now: Contents;
  readonly copies: Contents[] = [];
  readonly seen: Map<number, Set<symbol>> = new Map();
  restores = 0;

  constructor(storeId: number) {
    this.now = { storeId, record: emptyPrincipal('system'), history: [] };
    this.commit();
  }

  commit(): void {
    const { record, history } = this.now;
    this.#become({
      ...this.now,
      record: { ...record, generation: record.generation + 1 },
      history: [...history, Symbol('commit')],
    });
  }

  restore(copy: Contents): void {
    const { record, history, storeId } = this.now;
    const gone = history.length - copy.history.length;
    const isAhead = gone < 0;
    this.restores += 1;
    this.#become({
      ...copy,
      record: stored(afterRestore(copy.record, record, copy.storeId === storeId)),
      history: isAhead
        ? copy.history
        : [...copy.history, ...Array.from<undefined>({ length: gone }), Symbol('restore')],
    });
  }

  run(steps: readonly Step[], others: readonly Contents[] = []): this {
    for (const step of steps) {
      if (step === 'commit') this.commit();
      else if (step === 'copy') this.copies.push(this.now);
      else {
        const [from, index] = 'restore' in step ? [this.copies, step.restore] : [others, step.takeIn];
        const copy = from[index % from.length];
        if (copy !== undefined) this.restore(copy);
      }
    }
    return this;
  }

  /** Returns the generations that a client has seen with other contents than they have now. */
  lost(): number[] {
    return [...this.seen]
      .filter(([generation, done]) => [...done].some((one) => this.now.history[generation - 1] !== one))
      .map(([generation]) => generation);
  }

  /** Returns the generations that {@link isLostInRestore} reports, among those that a client has seen. */
  reportedLost(): number[] {
    return [...this.seen.keys()].filter((generation) => isLostInRestore(this.now.record, generation));
  }

  #become(contents: Contents): void {
    this.now = contents;
    assert.equal(contents.record.generation, contents.history.length);
    for (const [index, done] of contents.history.entries()) {
      if (done !== undefined) this.seen.set(index + 1, (this.seen.get(index + 1) ?? new Set()).add(done));
    }
    assertNormal(contents.record.restored ?? []);
  }
}

function assertNormal(ranges: readonly GenerationRange[]): void {
  assert.ok(ranges.length <= RANGES_MAX);
  for (const [index, { after, at }] of ranges.entries()) {
    assert.ok(after + 1 < at, 'an empty range');
    assert.ok(after >= (ranges[index - 1]?.at ?? 0), 'ranges that touch, or are in no order');
  }
}

function stored(record: PrincipalRecord): PrincipalRecord {
  return decodePrincipal(encodeRecord(record));
}

const ownSteps: fc.Arbitrary<Step>[] = [
  fc.constant('commit'),
  fc.constant('copy'),
  fc.nat({ max: 100 }).map((restore) => ({ restore })),
];
const own = fc.array(fc.oneof(...ownSteps), { maxLength: 40, size: 'max' });
const any = fc.array(
  fc.oneof(
    ...ownSteps,
    fc.nat({ max: 1 }).map((takeIn) => ({ takeIn })),
  ),
  {
    maxLength: 40,
    size: 'max',
  },
);

/** Makes a store with the given number of restores, each of which takes one commit back. */
function placeWithRanges(count: number): Place {
  const place = new Place(0);
  for (let index = 0; index < count; index += 1) place.run(['copy', 'commit', { restore: index }]);
  return place;
}

describe('afterRestore()', () => {
  it('takes back exactly the generations that clients saw and that are gone, whichever copies of the store are restored', () => {
    fc.assert(
      fc.property(own, (steps) => {
        const place = new Place(0).run(steps);
        fc.pre(place.restores <= RANGES_MAX);
        assert.deepEqual(place.reportedLost(), place.lost());
      }),
      { numRuns: 1000 },
    );
  });

  it('takes back at least those, also with copies of other stores and with more restores than there are ranges', () => {
    fc.assert(
      fc.property(any, own, own, (steps, first, second) => {
        const others = [first, second].map((made, index) => new Place(index + 1).run(made).now);
        const place = new Place(0).run(steps, others);
        const reported = new Set(place.reportedLost());
        assert.deepEqual(
          place.lost().filter((generation) => !reported.has(generation)),
          [],
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('merges the oldest ranges if there are too many', () => {
    const full = placeWithRanges(RANGES_MAX);
    assert.equal(full.now.record.restored?.length, RANGES_MAX);
    assert.deepEqual(full.reportedLost(), full.lost());
    const over = placeWithRanges(RANGES_MAX + 2);
    const [oldest, ...others] = over.now.record.restored ?? [];
    assert.deepEqual(oldest, { after: 1, at: 7 });
    assert.equal(others.length, RANGES_MAX - 1);
    assert.deepEqual(others[0], { after: 7, at: 9 });
    const both = new Set([...over.lost(), 3, 5]);
    assert.deepEqual(new Set(over.reportedLost()), both, 'those between the oldest ranges, too, and no others');
  });

  it("keeps everything else in the copy's record of the space", () => {
    const copied: PrincipalRecord = {
      principal: 'uid:7',
      generation: 3,
      count: 1,
      names: ['token'],
      bytes: 9,
      grants: [{ space: 'system', kind: 'name', target: 'shared' }],
      removals: { aws: 2 },
    };
    const replaced: PrincipalRecord = { ...emptyPrincipal('uid:7'), generation: 5, count: 4 };
    const restored = [{ after: 3, at: 6 }];
    assert.deepEqual(afterRestore(copied, replaced, true), { ...copied, generation: 6, restored });
  });

  it('takes nothing back if nothing was committed since the copy', () => {
    const place = new Place(0).run(['copy', { restore: 0 }, { restore: 0 }]);
    assert.deepEqual(place.now.record, { ...emptyPrincipal('system'), generation: 3, restored: [{ after: 1, at: 3 }] });
    const once = new Place(0).run(['copy', { restore: 0 }]);
    assert.deepEqual(once.now.record, { ...emptyPrincipal('system'), generation: 2 });
  });

  it('treats a copy that is ahead as one whose counting went on elsewhere', () => {
    const ahead = { ...emptyPrincipal('system'), generation: 9, restored: [{ after: 6, at: 8 }] };
    const behind = { ...emptyPrincipal('system'), generation: 4 };
    for (const isSameStore of [true, false]) {
      const restored = [
        { after: 0, at: 5 },
        { after: 6, at: 8 },
      ];
      assert.deepEqual(afterRestore(ahead, behind, isSameStore), { ...ahead, restored });
      const byOne = { ...emptyPrincipal('system'), generation: 5 };
      assert.deepEqual(afterRestore(byOne, behind, isSameStore), { ...byOne, restored: [{ after: 0, at: 5 }] });
    }
  });
});

describe('isLostInRestore()', () => {
  it('is true for a generation within a range, and false for its two ends', () => {
    const restored = [
      { after: 1, at: 4 },
      { after: 4, at: 6 },
    ];
    const record = { ...emptyPrincipal('system'), generation: 6, restored };
    const asked = [-1, 0, 1, 2, 3, 4, 5, 6, 7];
    assert.deepEqual(
      asked.filter((generation) => isLostInRestore(record, generation)),
      [2, 3, 5],
    );
    for (const space of [undefined, emptyPrincipal('system')]) {
      assert.ok(asked.every((generation) => !isLostInRestore(space, generation)));
    }
  });
});
