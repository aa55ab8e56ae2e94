import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { everyCredential } from '../../../daemon/access/every-credential.ts';
import { TimeSlice } from '../../../daemon/time-slice.ts';
import { ALICE, ROOT, startCore } from '../core.ts';
import type { Core } from '../core.ts';

/** More than two pages. */
const NAMES: readonly string[] = Array.from({ length: 600 }, (_, index) => `name-${index}`);

async function filled(t: TestContext): Promise<Core> {
  const core = await startCore(t);
  await core.create(ROOT, ...NAMES);
  return core;
}

describe('everyCredential()', () => {
  it('yields each credential of every space once, a page at a time', async (t) => {
    const core = await filled(t);
    await core.create(ALICE, 'own');
    const pages: string[][] = [];
    for await (const { records, damaged } of everyCredential(core.vault, new TimeSlice(core.vault.turns, ROOT.uid))) {
      assert.equal(damaged, 0);
      pages.push(records.map(({ space, name }) => `${space} ${name}`));
    }
    assert.ok(pages.length > 2);
    assert.deepEqual(pages.flat().toSorted(), [...NAMES.map((name) => `system ${name}`), 'uid:3001 own'].toSorted());
  });

  for (const [what, change, code] of [
    ['Busy if the data key was changed meanwhile', (core: Core) => core.ask(ROOT, 'Rekey', {}), 'Busy'],
    ['Locked if the store was locked meanwhile', (core: Core) => core.ask(ROOT, 'Lock', {}), 'Locked'],
    [
      'Busy if the store was locked and unlocked meanwhile',
      async (core: Core) => {
        await core.ask(ROOT, 'Lock', {});
        await core.ask(ROOT, 'Unlock', {});
      },
      'Busy',
    ],
  ] as const) {
    it(`ends with ${what}`, async (t) => {
      const core = await filled(t);
      const pages = everyCredential(core.vault, new TimeSlice(core.vault.turns, ROOT.uid));
      assert.equal((await pages.next()).value?.records.length, 250);
      await change(core);
      await assert.rejects(pages.next(), { code });
    });
  }
});
