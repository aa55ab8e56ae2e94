import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WATCHED_PER_USER_MAX } from '../../../src/limits.ts';
import { WATCHERS_PER_USER_MAX, WatchHub, placeOf } from '../../../daemon/access/watch-hub.ts';
import { WatchedView } from '../../../daemon/access/watched-view.ts';
import type { Part } from '../../../daemon/access/watched-view.ts';
import { eventually } from '../../support/eventually.ts';
import { ALICE, ROOT, startCore } from '../core.ts';
import type { Person } from '../core.ts';

/** What a hundred patterns may take for one name. */
const MATCH_MS = 2;
const CHANGES = 200;

/** Changes that wait to be told. */
const WAITING_MAX = 10_000;

/** Commits that follow each other this closely are told together. */
const GATHER_MS = 10;

/** Others have their turn after a slice, which is two of them, or after what is told in one reply in any case. */
const TURNS_MIN = 4;

async function told(view: WatchedView): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of view.tell()) parts.push(part);
  return parts;
}

describe('WatchedView', () => {
  it('lets others have their turn while many changes are held against slow patterns', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: CHANGES }, (_, index) => `name-${index}`);
    await core.keep(ROOT, ...names);
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
    for await (const part of view.tell()) assert.equal(part.vanished.length, 0);
    await core.ask(ROOT, 'Create', { replace: true, credentials: names.map((name) => ({ name, value: 'second' })) });
    isSlow = true;
    let turns = 0;
    const others = (): void => {
      turns += 1;
      next = setImmediate(others);
    };
    let next = setImmediate(others);
    t.after(() => clearImmediate(next));
    const told: string[] = [];
    for await (const { credentials } of view.tell()) told.push(...credentials.map(({ name }) => name));
    assert.deepEqual(told.toSorted(), names.toSorted(), 'each is told once');
    assert.ok(turns >= TURNS_MIN, `others had ${turns} turns`);
  });

  it('has the place of its own user', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const scope = { only: undefined, isEverything: true, matches: (): boolean => true };
    const add = (person: Person): (() => void) => hub.add(new WatchedView(core.vault, hub, core.caller(person), scope));
    for (let count = 0; count < WATCHERS_PER_USER_MAX; count += 1) t.after(add(ROOT));
    assert.throws(() => add(ROOT), { code: 'Busy' });
    t.after(add(ALICE));
  });

  it('tells an administrator of what is shared, or of the one owner whom he asks for', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'shared');
    await core.keep(ALICE, 'own');
    for (const [only, names] of [
      [undefined, ['shared']],
      [core.caller(ALICE).space, ['own']],
    ] as const) {
      const scope = { only, isEverything: true, matches: (): boolean => true };
      const parts = await told(new WatchedView(core.vault, new WatchHub(core.vault), core.caller(ROOT), scope));
      assert.deepEqual(
        parts.flatMap(({ credentials }) => credentials.map(({ name }) => name)),
        names,
      );
    }
  });

  it('says one thing of one credential in a reply, though it changes while all is told', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: 40 }, (_, index) => `name-${index}`);
    await core.keep(ROOT, ...names);
    const hub = new WatchHub(core.vault);
    let looked = 0;
    const view = new WatchedView(core.vault, hub, core.caller(ROOT), {
      only: undefined,
      isEverything: true,
      matches: () => {
        looked += 1;
        // Longer than a slice: others have a turn after each.
        const end = performance.now() + 5;
        while (performance.now() < end);
        return true;
      },
    });
    t.after(hub.add(view));
    const telling = told(view);
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

  it('has what follows closely told together', async (t) => {
    const core = await startCore(t);
    const hub = new WatchHub(core.vault);
    const scope = { only: undefined, isEverything: true, matches: (): boolean => true };
    const view = new WatchedView(core.vault, hub, core.caller(ROOT), scope);
    t.after(hub.add(view));
    assert.deepEqual(await told(view), []);
    const changes = view.changes();
    const began = performance.now();
    view.onEverything();
    await changes;
    // A timer may be a millisecond early.
    assert.ok(performance.now() - began > GATHER_MS - 2);
  });

  it('keeps so many changes in mind, and looks at everything where there are more', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'first');
    const looked: string[] = [];
    const view = new WatchedView(core.vault, new WatchHub(core.vault), core.caller(ROOT), {
      only: undefined,
      isEverything: true,
      matches: ({ name }) => looked.push(name) > 0,
    });
    await told(view);
    looked.length = 0;
    for (let index = 0; index < WAITING_MAX; index += 1)
      view.onCredential(placeOf('credential', 'system', `n${index}`));
    assert.deepEqual([await told(view), looked], [[], []]);
    for (let index = 0; index <= WAITING_MAX / 2; index += 1) {
      view.onCredential(placeOf('credential', 'system', `n${index}`));
      view.onSet(placeOf('set', 'system', `s${index}`));
    }
    assert.deepEqual([await told(view), looked], [[], ['first']]);
  });

  it('counts what it remembers with what others of that user do, is TooLarge where that is too much, and gives it back', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'first', 'second');
    const hub = new WatchHub(core.vault);
    const scope = { only: undefined, isEverything: true, matches: (): boolean => true };
    const view = (): WatchedView => new WatchedView(core.vault, hub, core.caller(ROOT), scope);
    const whole = view();
    assert.equal((await told(whole))[0]?.credentials.length, 2);
    assert.equal(hub.remember(ROOT.uid, WATCHED_PER_USER_MAX - 2), true);
    const other = view();
    await assert.rejects(told(other), { code: 'TooLarge', fields: { limit: WATCHED_PER_USER_MAX } });
    other.forget();
    await core.ask(ROOT, 'Remove', { names: ['first'] });
    whole.onEverything();
    assert.equal((await told(whole))[0]?.vanished.length, 1);
    assert.deepEqual([hub.remember(ROOT.uid, 1), hub.remember(ROOT.uid, 1)], [true, false]);
    whole.forget();
    assert.deepEqual([hub.remember(ROOT.uid, 0), hub.remember(ROOT.uid, 1)], [true, false]);
  });
});
