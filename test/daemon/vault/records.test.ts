import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  currentVersion,
  decodeCredential,
  decodePrincipal,
  decodeValue,
  emptyPrincipal,
  inlineValueIn,
  encodeCredential,
  encodeRecord,
  encodeValue,
  isSpace,
  valueIn,
} from '../../../daemon/vault/records.ts';
import type { CredentialRecord, PrincipalId, Space } from '../../../daemon/vault/records.ts';

const space = fc.oneof(
  fc.constant<Space>('system'),
  fc.nat({ max: 2 ** 32 - 2 }).map((uid): Space => `uid:${uid}`),
);
const name = fc.stringMatching(/^[a-z0-9][a-z0-9_.-]{0,127}$/);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const version = fc.record(
  { version: count, generation: count, changed: count, changedBy: count, size: count, restoredFrom: count },
  { requiredKeys: ['version', 'generation', 'changed', 'changedBy', 'size'], noNullPrototype: true },
);
const credential = fc.record(
  {
    id: fc.stringMatching(/^[0-9a-f]{32}$/),
    space,
    name,
    created: count,
    createdBy: count,
    versions: fc.array(version, { minLength: 1, maxLength: 10 }),
  },
  { noNullPrototype: true },
);

describe('encodeValue()', () => {
  it('is undone by decodeValue(), whatever bytes the value has', () => {
    fc.assert(
      fc.property(space, name, fc.integer({ min: 1 }), fc.uint8Array(), (owner, key, number, value) => {
        const text = encodeValue({ space: owner, name: key, version: number, value });
        const decoded = decodeValue(text);
        assert.deepEqual(
          { ...decoded, value: [...decoded.value] },
          { space: owner, name: key, version: number, value: [...value] },
        );
        assert.deepEqual([...valueIn(text)], [...value]);
      }),
    );
  });

  it('has the bytes of the file format', () => {
    const text = encodeValue({ space: 'uid:7', name: 'a', version: 12, value: Buffer.from('\0v') });
    assert.equal(Buffer.from(text).toString('latin1'), '\0\x0auid:7\0a\x0012\0v');
  });
});

describe('valueIn()', () => {
  it('returns a view, so that wiping the value wipes the text', () => {
    const text = encodeValue({ space: 'system', name: 'a', version: 1, value: Buffer.from('secret') });
    valueIn(text).fill(0);
    assert.ok(!Buffer.from(text).includes('secret'));
  });

  it('reads a view into a larger buffer', () => {
    const text = encodeValue({ space: 'system', name: 'a', version: 1, value: Buffer.from('secret') });
    const large = Buffer.concat([Buffer.from('before'), text, Buffer.from('after')]);
    const view = new Uint8Array(large.buffer, large.byteOffset + 6, text.length);
    assert.equal(Buffer.from(valueIn(view)).toString(), 'secret');
    assert.equal(decodeValue(view).name, 'a');
  });
});

describe('encodeCredential()', () => {
  it('keeps a value of any bytes with the record, or none', () => {
    fc.assert(
      fc.property(credential, fc.option(fc.uint8Array()), (record, value) => {
        const text = encodeCredential(record, value ?? undefined);
        assert.deepEqual(decodeCredential(text), record);
        assert.deepEqual(inlineValueIn(text), value ?? undefined);
      }),
    );
  });
});

describe('encodeRecord()', () => {
  it('is undone by decodeCredential()', () => {
    fc.assert(
      fc.property(credential, (record) => {
        assert.deepEqual(decodeCredential(encodeCredential(record as CredentialRecord)), record);
      }),
    );
  });

  it('is undone by decodePrincipal(), for names of units that need escapes', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(name), (unit, names) => {
        const principal = `unit:${unit}` as const;
        const grants = names.map((target) => ({ space: 'system', kind: 'name', target }) as const);
        const record = { ...emptyPrincipal(principal), names, grants };
        assert.deepEqual(decodePrincipal(encodeRecord(record)), record);
      }),
    );
  });
});

describe('decodePrincipal()', () => {
  it('reads a single restored range as a list of one', () => {
    const range = { after: 2, at: 5 };
    const record = { ...emptyPrincipal('system'), generation: 5 };
    for (const restored of [range, [range]]) {
      const text = Buffer.from(JSON.stringify({ ...record, restored }));
      assert.deepEqual(decodePrincipal(text), { ...record, restored: [range] });
    }
    assert.deepEqual(decodePrincipal(encodeRecord(record)), record);
  });
});

describe('currentVersion()', () => {
  it('returns the last one', () => {
    fc.assert(
      fc.property(credential, (record) => {
        assert.equal(currentVersion(record as CredentialRecord), record.versions.at(-1));
      }),
    );
  });

  it('throws on a credential without versions, which cannot exist', () => {
    const record = { id: '', space: 'system', name: 'a', created: 0, createdBy: 0, versions: [] } as const;
    assert.throws(() => currentVersion(record), TypeError);
  });
});

describe('isSpace()', () => {
  const answers: Record<PrincipalId, boolean> = {
    system: true,
    'uid:0': true,
    'uid:1000': true,
    'gid:1000': false,
    'unit:system': false,
    'unit:uid:1.service': false,
  };
  for (const [principal, answer] of Object.entries(answers)) {
    it(`returns ${answer} for ${principal}`, () => assert.equal(isSpace(principal as PrincipalId), answer));
  }
});

describe('emptyPrincipal()', () => {
  it('owns nothing and was granted nothing', () => {
    assert.deepEqual(emptyPrincipal('gid:5'), {
      principal: 'gid:5',
      generation: 0,
      count: 0,
      names: [],
      bytes: 0,
      grants: [],
    });
  });
});
