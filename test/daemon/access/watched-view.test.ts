import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WATCHED_PER_USER_MAX } from '../../../src/limits.ts';
import { WatchHub } from '../../../daemon/access/watch-hub.ts';
import { WatchedView } from '../../../daemon/access/watched-view.ts';
import type { Part } from '../../../daemon/access/watched-view.ts';
import { ROOT, startCore } from '../core.ts';

/** What a hundred patterns may take for one name. */
const MATCH_MS = 2;
const CHANGES = 200;

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
