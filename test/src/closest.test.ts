import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { closest } from '../../src/closest.ts';

const KNOWN = ['create', 'add', 'list', 'ls', 'remove', 'delete', 'rm', 'rollback', 'status'];

describe('closest()', () => {
  it('finds the word that was meant', () => {
    for (const [typed, meant] of [
      ['crate', 'create'],
      ['craete', 'create'],
      ['lsit', 'list'],
      ['removee', 'remove'],
      ['rolback', 'rollback'],
      ['stauts', 'status'],
    ] as const) {
      assert.equal(closest(typed, KNOWN), meant);
    }
  });

  it('returns undefined for a word that resembles none', () => {
    for (const typed of ['', 'x', 'frobnicate', 'AKIAYHD623GGZX7VDFMJ', 'create'.repeat(100)]) {
      assert.equal(closest(typed, KNOWN), undefined);
    }
  });
});
