import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatUuid, uuidOfSet } from '../../../daemon/access/set-uuid.ts';
import { isUuid } from '../../../src/names.ts';

/** The namespace of DNS names (RFC 9562, section 6.6). */
const DNS = Buffer.from('6ba7b8109dad11d180b400c04fd430c8', 'hex');

describe('uuidOfSet()', () => {
  it('matches the test vector for version 5 of RFC 9562', () => {
    assert.equal(uuidOfSet(DNS, 'system', 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2');
  });

  it("is what any other program derives from the set's name, and from its owner if that is a user", () => {
    for (const [space, set, expected] of [
      ['system', 'aws', '872353d0-97ed-54a2-9c4f-9bdfac68563d'],
      ['system', 'minio', '0577a92a-88b7-5d7a-a557-198520914504'],
      ['system', 'a', '4f3f2898-69e3-5a0d-820a-c4e87987dbce'],
      ['system', 'b', '3f10dbe8-4cbd-5e31-9b1f-af0cb9dda9cf'],
      ['uid:1', 'aws', '762f2755-d2b6-5c5a-beaf-10fa5682b5d6'],
      ['uid:4294967294', 'aws_alt', 'a65d7cbe-b478-5c6f-9b1b-17a32055ddc4'],
    ] as const) {
      assert.equal(uuidOfSet(DNS, space, set), expected);
    }
  });

  it('differs by store, by owner and by name', () => {
    const other = Buffer.alloc(16);
    const uuids = [
      uuidOfSet(DNS, 'system', 'aws'),
      uuidOfSet(other, 'system', 'aws'),
      uuidOfSet(DNS, 'uid:1', 'aws'),
      uuidOfSet(DNS, 'uid:11', 'aws'),
      uuidOfSet(DNS, 'system', 'aws_alt'),
    ];
    assert.equal(new Set(uuids).size, uuids.length);
    for (const uuid of uuids) assert.ok(isUuid(uuid));
  });

  it('is never the same for a shared set and a user’s set', () => {
    // The name of a set has no slash; the text that is hashed for a user's set has one.
    assert.notEqual(uuidOfSet(DNS, 'uid:1', 'aws'), uuidOfSet(DNS, 'system', '1/aws'));
  });
});

describe('formatUuid()', () => {
  it('writes sixteen bytes as a UUID', () => {
    assert.equal(formatUuid(DNS), '6ba7b810-9dad-11d1-80b4-00c04fd430c8');
  });
});
