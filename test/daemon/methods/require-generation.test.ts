import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requireGeneration } from '../../../daemon/methods/require-generation.ts';
import { ALICE, ROOT, startCore } from '../core.ts';

describe('requireGeneration()', () => {
  it('asks for nothing where no generation is expected', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'token');
    for (const expected of [undefined, null]) {
      core.vault.read((reader) => requireGeneration(reader, 'system', ['token'], expected));
    }
  });

  it('looks at what is there of the space, and takes 0 for what is not', async (t) => {
    const core = await startCore(t);
    await core.keep(ROOT, 'a');
    await core.keep(ROOT, 'b');
    const require = (names: string[], expected: number, space: 'system' | 'uid:3001' = 'system'): void =>
      core.vault.read((reader) => requireGeneration(reader, space, names, expected));
    require(['none'], 0);
    require(['a'], 1);
    require(['a', 'b', 'none'], 2);
    require(['a', 'b'], 0, `uid:${ALICE.uid}` as 'uid:3001');
    assert.throws(() => require(['a', 'b'], 1), { code: 'Conflict', fields: { expected: 1, actual: 2 } });
    assert.throws(() => require(['none'], -1), { code: 'Conflict', fields: { expected: -1, actual: 0 } });
  });
});
