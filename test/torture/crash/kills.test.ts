import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Moment } from './daemon-run.ts';
import { Kills } from './kills.ts';

const WRITE: Moment = { call: 'pwrite64', count: 3 };
const SYNC: Moment = { call: 'fsync', count: 1 };

function killsWith(...moments: readonly (readonly [Moment, boolean])[]): Kills {
  const kills = new Kills();
  kills.count = moments.length;
  kills.acknowledgements = 100;
  for (const [moment, isMet] of moments) kills.noteMoment(moment, isMet);
  return kills;
}

describe('Kills', () => {
  it('reports how many daemons died at the chosen moment', () => {
    const { broken, detail } = killsWith([WRITE, true], [WRITE, false], [SYNC, true]).outcome('it survives');
    assert.deepEqual(broken, []);
    assert.match(detail, /at the moment that was chosen: pwrite64 1 of 2, fsync 1 of 1$/);
  });

  it('is broken if no daemon died before a call that was chosen', () => {
    const { broken } = killsWith([WRITE, true], [SYNC, false], [SYNC, false]).outcome('it survives');
    assert.deepEqual(broken, ['none of 2 daemons was killed before a fsync, as was chosen for it']);
  });
});
