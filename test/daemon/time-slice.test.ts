import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turns } from '../../daemon/time-slice.ts';

describe('Turns', () => {
  it('has users come one after the other, however many tasks one of them has', async () => {
    const turns = new Turns();
    const order: (number | undefined)[] = [];
    const task = async (uid: number | undefined, slices: number): Promise<void> => {
      for (let slice = 0; slice < slices; slice += 1) {
        await turns.next(uid);
        order.push(uid);
      }
    };
    const crowd = Array.from({ length: 50 }, () => task(1, 2));
    await Promise.all([task(2, 3), task(undefined, 3)]);
    assert.ok(order.length <= 9, `${order.length} slices until those of two others were done`);
    await Promise.all(crowd);
    assert.equal(order.length, 106);
  });
});
