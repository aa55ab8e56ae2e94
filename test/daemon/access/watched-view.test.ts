import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WATCHED_PER_USER_MAX } from '../../../src/limits.ts';
import { WATCHERS_PER_USER_MAX, WatchHub, placeOf } from '../../../daemon/access/watch-hub.ts';
import { WatchedView } from '../../../daemon/access/watched-view.ts';
import type { Part } from '../../../daemon/access/watched-view.ts';
import { countTurns } from '../../support/event-loop.ts';
import { eventually } from '../../support/eventually.ts';
import { ALICE, ROOT, startCore } from '../core.ts';
import type { Person } from '../core.ts';

/** The time that a hundred patterns may take for one name. */
const MATCH_MS = 2;
const CHANGES = 200;

/** The most changes that wait to be reported. */
const PENDING_MAX = 10_000;

/** Commits within this time are reported together. */
const COALESCE_MS = 10;

/** Others get a turn after a time slice, which is two names here, or after each reply at the latest. */
const TURNS_MIN = 4;

async function partsOf(view: WatchedView): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of view.pendingParts()) parts.push(part);
  return parts;
}

describe('WatchedView', () => {
  it('lets others have turns while many changes are matched against slow patterns', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: CHANGES }, (_, index) => `name-${index}`);
    await core.create(ROOT, ...names);
    const hub = new WatchHub(core.vault);
    let isSlow = false;
    const view = new WatchedView(core.vault, hub, core.caller(ROOT), {
      only: undefined,
      isEverything: false,
      matches: () => {
        const end = performance.now() + (isSlow ? MATCH_MS : 0);
        while (performance.now() < end);
        return true;
      },
    });
    t.after(hub.add(view));
    for await (const part of view.pendingParts()) assert.equal(part.vanished.length, 0);
    await core.ask(ROOT, 'Create', { replace: true, credentials: names.map((name) => ({ name, value: 'second' })) });
    isSlow = true;
    const turns = countTurns(t);
    const told: string[] = [];
    for await (const { credentials } of view.pendingParts()) told.push(...credentials.map(({ name }) => name));
    assert.deepEqual(told.toSorted(), names.toSorted(), 'each is told once');
    assert.ok(turns.count >= TURNS_MIN, `others had ${turns.count} turns`);
  });

  it('reports many sets in slices, as each takes a look-up for every field', async (t) => {
    const core = await startCore(t);
    const sets = Array.from({ length: 100 }, (_, index) => `s${index}`);
    await core.create(ROOT, ...sets.map((set) => `cio_${set}_access_key`));
    const view = new WatchedView(core.vault, new WatchHub(core.vault), core.caller(ROOT), {
      only: undefined,
      isEverything: false,
      matches: () => {
        const end = performance.now() + MATCH_MS;
        while (performance.now() < end);
        return true;
      },
    });
    const parts = await partsOf(view);
    const told = parts.flatMap((part) => part.sets.map(({ set }) => set));
    assert.deepEqual(told.toSorted(), sets.toSorted());
    assert.ok(parts.length >= 20, `the sets came in ${parts.length} parts`);
  });

  it('reports everything for four watches of a user at a time; the others read nothing before', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a');
    await core.create(ALICE, 'b');
    let matched = 0;
    const begin = (person: Person): AsyncGenerator<Part> =>
      new WatchedView(core.vault, new WatchHub(core.vault), core.caller(person), {
        only: undefined,
        isEverything: false,
        matches: () => (matched += 1) > 0,
      }).pendingParts();
    const first = Array.from({ length: 4 }, () => begin(ROOT));
    for (const parts of first) assert.equal((await parts.next()).value?.credentials[0]?.name, 'a');
    const before = matched;
    const fifth = begin(ROOT).next();
    assert.equal((await begin(ALICE).next()).value?.credentials[0]?.name, 'b');
    assert.equal(matched, before + 1);
    assert.equal((await first[0]?.next())?.done, true);
    assert.equal((await fifth).value?.credentials[0]?.name, 'a');
  });

  it('keeps its place while it reads sets, however long that takes', async (t) => {
    const core = await startCore(t);
    const sets = Array.from({ length: 100 }, (_, index) => `s${index}`);
    await core.create(ROOT, ...sets.map((set) => `cio_${set}_access_key`));
    const beginning = t.mock.method(core.vault.watches, 'begin').mock;
    let matched = 0;
    const view = new WatchedView(core.vault, new WatchHub(core.vault), core.caller(ROOT), {
      only: undefined,
      isEverything: false,
      matches: () => {
        matched += 1;
        const end = performance.now() + (matched > sets.length ? 12 : 0);
        while (performance.now() < end);
        return true;
      },
    });
    for await (const part of view.pendingParts()) {
      const read = await beginning.calls[0]?.result;
      assert.equal(read?.isStalled, false, `with ${part.sets.length} sets`);
    }
    assert.ok(matched >= 2 * sets.length);
  });

  it('ends a watch that waits for its place with the error that ends it', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'a');
    const scope = { only: undefined, isEverything: true, matches: (): boolean => true };
    const hub = new WatchHub(core.vault);
    const views = Array.from({ length: 5 }, () => new WatchedView(core.vault, hub, core.caller(ROOT), scope));
    for (const view of views) t.after(hub.add(view));
    const parts = views.map((view) => view.pendingParts());
    await Promise.all(parts.slice(0, 4).map((each) => each.next()));
    const waiting = assert.rejects(parts[4]?.next() ?? assert.fail(), { code: 'Locked' });
    await core.ask(ROOT, 'Lock', {});
    await waiting;
  });

  it('counts towards the limit of its own user', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const scope = { only: undefined, isEverything: true, matches: (): boolean => true };
    const add = (person: Person): (() => void) => hub.add(new WatchedView(core.vault, hub, core.caller(person), scope));
    for (let count = 0; count < WATCHERS_PER_USER_MAX; count += 1) t.after(add(ROOT));
    assert.throws(() => add(ROOT), { code: 'Busy' });
    t.after(add(ALICE));
  });

  it('shows an administrator the shared space, or that of the requested owner', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'shared');
    await core.create(ALICE, 'own');
    for (const [only, names] of [
      [undefined, ['shared']],
      [core.caller(ALICE).space, ['own']],
    ] as const) {
      const scope = { only, isEverything: true, matches: (): boolean => true };
      const parts = await partsOf(new WatchedView(core.vault, new WatchHub(core.vault), core.caller(ROOT), scope));
      assert.deepEqual(
        parts.flatMap(({ credentials }) => credentials.map(({ name }) => name)),
        names,
      );
    }
  });

  it('mentions a credential once per reply, even if it changes while all are reported', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: 40 }, (_, index) => `name-${index}`);
    await core.create(ROOT, ...names);
    const hub = new WatchHub(core.vault);
    let looked = 0;
    const view = new WatchedView(core.vault, hub, core.caller(ROOT), {
      only: undefined,
      isEverything: true,
      matches: () => {
        looked += 1;
        // Longer than a time slice, so that others get a turn after each.
        const end = performance.now() + 5;
        while (performance.now() < end);
        return true;
      },
    });
    t.after(hub.add(view));
    const telling = partsOf(view);
    await eventually(() => looked > 1);
    await core.ask(ROOT, 'Remove', { names: names.slice(0, 5) });
    await core.replace(ROOT, 'name-7', 'second');
    assert.ok(looked < names.length, 'it is under way');
    const parts = await telling;
    for (const { credentials, vanished } of parts) {
      const all = [...credentials, ...vanished].map(({ name }) => name);
      assert.deepEqual(all, [...new Set(all)]);
    }
    const versions = parts.flatMap(({ credentials }) => credentials.filter(({ name }) => name === 'name-7'));
    assert.equal(versions.at(-1)?.version, 2);
  });

  it('reports changes in quick succession together', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const scope = { only: undefined, isEverything: true, matches: (): boolean => true };
    const view = new WatchedView(core.vault, hub, core.caller(ROOT), scope);
    t.after(hub.add(view));
    assert.deepEqual(await partsOf(view), []);
    const changes = view.waitForChange();
    const began = performance.now();
    view.onEverything();
    await changes;
    // A timer may fire a millisecond early.
    assert.ok(performance.now() - began > COALESCE_MS - 2);
  });

  it('remembers a limited number of changes, and looks at everything if there are more', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'first');
    const looked: string[] = [];
    const view = new WatchedView(core.vault, new WatchHub(core.vault), core.caller(ROOT), {
      only: undefined,
      isEverything: true,
      matches: ({ name }) => looked.push(name) > 0,
    });
    await partsOf(view);
    looked.length = 0;
    for (let index = 0; index < PENDING_MAX; index += 1)
      view.onCredential(placeOf('credential', 'system', `n${index}`));
    assert.deepEqual([await partsOf(view), looked], [[], []]);
    for (let index = 0; index <= PENDING_MAX / 2; index += 1) {
      view.onCredential(placeOf('credential', 'system', `n${index}`));
      view.onSet(placeOf('set', 'system', `s${index}`));
    }
    assert.deepEqual([await partsOf(view), looked], [[], ['first']]);
  });

  it('counts what all watchers of a user remember, fails with TooLarge above the limit, and releases its share', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'first', 'second');
    const hub = new WatchHub(core.vault);
    const scope = { only: undefined, isEverything: true, matches: (): boolean => true };
    const view = (): WatchedView => new WatchedView(core.vault, hub, core.caller(ROOT), scope);
    const whole = view();
    assert.equal((await partsOf(whole))[0]?.credentials.length, 2);
    assert.equal(hub.remember(ROOT.uid, WATCHED_PER_USER_MAX - 2), true);
    const other = view();
    await assert.rejects(partsOf(other), { code: 'TooLarge', fields: { limit: WATCHED_PER_USER_MAX } });
    other.release();
    await core.ask(ROOT, 'Remove', { names: ['first'] });
    whole.onEverything();
    assert.equal((await partsOf(whole))[0]?.vanished.length, 1);
    assert.deepEqual([hub.remember(ROOT.uid, 1), hub.remember(ROOT.uid, 1)], [true, false]);
    whole.release();
    assert.deepEqual([hub.remember(ROOT.uid, 0), hub.remember(ROOT.uid, 1)], [true, false]);
  });
});
