import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { forgeWal } from '../damage/wal.ts';
import { Sample } from '../damage/sample.ts';
import { misplaceFrames } from './damage.ts';

const TORTURE = { choose: () => 1, progress: () => undefined };

describe('misplaceFrames()', () => {
  it('is kept by a store whose forged WAL is read', async (t) => {
    const outcome = await misplaceFrames(TORTURE, await Sample.make(t));
    assert.deepEqual(outcome.broken, []);
    assert.ok(outcome.count > 1);
  });

  it('is broken if SQLite rejects the forged WAL', async (t) => {
    const forge: typeof forgeWal = (wal, frames) => {
      const forged = forgeWal(wal, frames);
      forged.fill(0, 24, 32);
      return forged;
    };
    const { broken } = await misplaceFrames(TORTURE, await Sample.make(t), forge);
    assert.ok(broken.includes('a WAL made anew is not as SQLite made it'), broken.join('\n'));
  });

  it('is broken if nothing of the forged WAL is read', async (t) => {
    const forge: typeof forgeWal = (wal) => wal;
    const { broken } = await misplaceFrames(TORTURE, await Sample.make(t), forge);
    assert.deepEqual(broken, ['nothing that is done changes what is seen: none of it is read']);
  });
});
