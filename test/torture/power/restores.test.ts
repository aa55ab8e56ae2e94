import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Restores } from './restores.ts';

/** Ten writes; five were answered before the Restore, and six sent when it was answered. */
function history(): Restores {
  const made = new Restores();
  const restore = { turnsBefore: 5, turnsAsked: 6, kept: 'store', asked: 3 };
  made.states.push({ whose: 'copy', answers: 1 }, { whose: 'store', answers: 2 });
  made.states.push({ whose: 'copy', answers: 4, restore });
  made.generations.push(3, 4, 5, 6, 7, 9, 10, 11, 12, 13);
  return made;
}

const BEFORE = { whose: 'store', turn: 5, generation: 7, kept: undefined };
const AFTER = { whose: 'copy', turn: 7, generation: 10, kept: 'store' };

describe('Restores.explain()', () => {
  it('accepts the states before and after a restore while it is under way', () => {
    assert.equal(history().explain(BEFORE, 3, 5), undefined);
    assert.equal(history().explain({ ...BEFORE, kept: 'store' }, 3, 5), undefined);
    assert.equal(history().explain({ ...AFTER, turn: 0, generation: 8 }, 3, 5), undefined);
    assert.equal(history().explain(AFTER, 4, 7), undefined);
  });

  for (const [what, image, answers, turns, wrong] of [
    ['the store after its restore was acknowledged', BEFORE, 4, 5, /the values of store, after those of copy/],
    ['a generation before one that was acknowledged', { ...AFTER, generation: 9 }, 4, 7, /generation 9, 10 was/],
    ['a write too few', { ...BEFORE, turn: 4 }, 3, 5, /write 4 is there; 5 were/],
    ['a write that was asked for afterwards and is gone', { ...AFTER, turn: 0 }, 4, 7, /write 0 is there; 7 were/],
    ['nothing that was kept of the store', { ...AFTER, kept: undefined }, 4, 7, /that of nobody, not of store/],
    ['the copy as what was kept', { ...AFTER, kept: 'copy' }, 4, 7, /that of copy, not of store/],
    ['something that was kept before anything was restored', { ...BEFORE, kept: 'store' }, 2, 5, /not of nobody/],
  ] as const) {
    it(`rejects ${what}`, () => assert.match(history().explain(image, answers, turns) ?? '', wrong));
  }
});
