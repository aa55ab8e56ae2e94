import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatUuid, uuidOfSet } from '../../../daemon/access/set-uuid.ts';
import { isUuid } from '../../../src/names.ts';

/** The name space of DNS names, RFC 9562, section 6.6. */
const DNS = Buffer.from('6ba7b8109dad11d180b400c04fd430c8', 'hex');

describe('uuidOfSet()', () => {
  it('is version 5 of RFC 9562: its test vector', () => {
    assert.equal(uuidOfSet(DNS, 'system', 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2');
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

  it('is the same for no shared set and a user’s set', () => {
    // The name of a set has no colon and no slash, which the name of a user's set has.
    assert.notEqual(uuidOfSet(DNS, 'uid:1', 'aws'), uuidOfSet(DNS, 'system', '1/aws'));
  });
});

describe('formatUuid()', () => {
  it('writes sixteen bytes as a UUID', () => {
    assert.equal(formatUuid(DNS), '6ba7b810-9dad-11d1-80b4-00c04fd430c8');
  });
});
