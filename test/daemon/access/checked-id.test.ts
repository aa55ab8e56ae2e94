import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkedId } from '../../../daemon/access/checked-id.ts';

describe('checkedId()', () => {
  for (const id of [0, 1, 65_534, 2 ** 32 - 2]) {
    it(`accepts ${id}`, () => assert.equal(checkedId(id), id));
  }

  for (const id of [-1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.NaN]) {
    it(`refuses ${id}, which is not a valid id`, () => {
      const fields = { name: '', reason: 'a uid or gid is out of range' };
      assert.throws(() => checkedId(id), { code: 'InvalidName', fields });
    });
  }
});
