import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Departure } from '../../daemon/gone.ts';

describe('Departure', () => {
  it('calls back whoever wants to hear of it, and not who took that back', () => {
    const departure = new Departure();
    const heard: string[] = [];
    departure.gone(() => heard.push('first'));
    const takeBack = departure.gone(() => heard.push('second'));
    departure.gone(() => heard.push('third'));
    takeBack();
    takeBack();
    assert.deepEqual(heard, []);
    departure.tell();
    assert.deepEqual(heard, ['first', 'third']);
  });
});
