import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BYTES_PER_USER_MAX, NAMES_PER_USER_MAX } from '../../../daemon/access/quota.ts';
import { REMOVALS_MAX, VERSIONS_KEPT } from '../../../daemon/methods/save-version.ts';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { ALICE, BOB, ROOT, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';

const TOO_MANY = ['TooLarge', { limit: NAMES_PER_USER_MAX }];
const TOO_MUCH = ['TooLarge', { limit: BYTES_PER_USER_MAX }];

async function fill(core: Core, person: Person, owner?: number): Promise<void> {
  const credentials = Array.from({ length: NAMES_PER_USER_MAX }, (_, index) => ({ name: `n${index}`, value: 'x' }));
  await core.ask(person, 'Create', { credentials, ...(owner === undefined ? {} : { owner }) });
}

function megabytes(name: string, count: number): { name: string; value: string }[] {
  return Array.from({ length: count }, (_, index) => ({ name: `${name}${index}`, value: 'x'.repeat(VALUE_BYTES_MAX) }));
}

describe('saveVersion(): limits per user', () => {
  it('limits the names, and allows one more after a removal', async (t) => {
    const core = await startCore(t);
    await fill(core, ALICE);
    const credentials = [{ name: 'more', value: 'x' }];
    assert.deepEqual(await core.refusal(ALICE, 'Create', { credentials }), TOO_MANY);
    assert.equal((await core.ask(ALICE, 'Status', {})).credentials, NAMES_PER_USER_MAX);
    await core.replace(ALICE, 'n0', 'replaced');
    await core.ask(ALICE, 'Remove', { names: ['n1'] });
    await core.ask(ALICE, 'Create', { credentials });
  });

  it('applies to an administrator who stores for the user, but not to others', async (t) => {
    const core = await startCore(t);
    await fill(core, ROOT, ALICE.uid);
    const credentials = [{ name: 'more', value: 'x' }];
    assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials, owner: ALICE.uid }), TOO_MANY);
    await core.ask(BOB, 'Create', { credentials });
    await fill(core, ROOT);
    await core.ask(ROOT, 'Create', { credentials });
  });

  it('limits the bytes of all values, kept versions included', async (t) => {
    const core = await startCore(t);
    await core.ask(ALICE, 'Create', { credentials: megabytes('a', 10) });
    await core.ask(ALICE, 'Create', { credentials: megabytes('a', 6), replace: true });
    assert.deepEqual(await core.refusal(ALICE, 'Create', { credentials: [{ name: 'more', value: 'x' }] }), TOO_MUCH);
    assert.deepEqual(await core.refusal(ALICE, 'Rollback', { target: 'a0' }), TOO_MUCH);
    await core.ask(ALICE, 'Remove', { names: ['a0'] });
    await core.ask(ALICE, 'Create', { credentials: megabytes('b', 2) });
    assert.deepEqual(await core.refusal(ALICE, 'Create', { credentials: [{ name: 'more', value: 'x' }] }), TOO_MUCH);
  });

  it('frees the bytes of versions that are no longer kept', async (t) => {
    const core = await startCore(t);
    await core.ask(ALICE, 'Create', { credentials: megabytes('a', 1) });
    for (let round = 0; round < VERSIONS_KEPT; round += 1) await core.replace(ALICE, 'a0', 'x');
    await core.ask(ALICE, 'Create', { credentials: megabytes('b', 15) });
  });
});

describe('removeCredentials()', () => {
  it('remembers the removals of a limited number of sets, and drops the health of forgotten ones only', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_new_region', 'cio_new_prefix');
    // Numbers come first in an object, in whatever order they were added.
    const oldest = 'old';
    const sets = [...Array.from({ length: REMOVALS_MAX - 1 }, (_, index) => `${index}`), oldest];
    const health = { space: 'system', generation: 1, state: 'passed', checked: 1 } as const;
    await core.vault.write((writer) => {
      const system = writer.principal('system') ?? assert.fail();
      const removals = Object.fromEntries(sets.map((set) => [set, set === oldest ? 1 : 2]));
      writer.putPrincipal({ ...system, generation: 2, removals });
      for (const set of [oldest, '0']) writer.putHealth({ ...health, set });
    });
    await core.ask(ROOT, 'Remove', { names: ['cio_new_prefix'] });
    core.vault.read((reader) => {
      const { removals = {} } = reader.principal('system') ?? assert.fail();
      assert.equal(Object.keys(removals).length, REMOVALS_MAX);
      assert.deepEqual([removals[oldest], removals['0'], removals['new']], [undefined, 2, 3]);
      assert.deepEqual([reader.health('system', oldest), reader.health('system', '0')?.state], [undefined, 'passed']);
    });
  });
});
