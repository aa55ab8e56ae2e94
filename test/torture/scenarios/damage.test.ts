import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { forgeJournal } from '../damage/journal.ts';
import { Sample } from '../damage/sample.ts';
import { misplaceFrames } from './damage.ts';

const TORTURE = { choose: () => 1, progress: () => undefined };

describe('misplaceFrames()', () => {
  it('is kept by a store whose forged journals are read', async (t) => {
    const outcome = await misplaceFrames(TORTURE, await Sample.make(t));
    assert.deepEqual(outcome.broken, []);
    assert.ok(outcome.count > 1);
  });

  it('is broken where SQLite passes over what is forged', async (t) => {
    const forge: typeof forgeJournal = (journal, frames) => {
      const forged = forgeJournal(journal, frames);
      forged.fill(0, 24, 32);
      return forged;
    };
    const { broken } = await misplaceFrames(TORTURE, await Sample.make(t), forge);
    assert.ok(broken.includes('a journal made anew is not as SQLite made it'), broken.join('\n'));
  });

  it('is broken where nothing that is forged is read', async (t) => {
    const forge: typeof forgeJournal = (journal) => journal;
    const { broken } = await misplaceFrames(TORTURE, await Sample.make(t), forge);
    assert.deepEqual(broken, ['nothing that is done changes what is seen: none of it is read']);
  });
});
