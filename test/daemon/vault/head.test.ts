import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Digest, decodeHead, encodeHead } from '../../../daemon/vault/head.ts';

const fingerprint = fc.uint8Array({ minLength: 32, maxLength: 32 });
const fingerprints = fc.uniqueArray(fingerprint, { selector: (bytes) => bytes.join(), maxLength: 12 });

function digestOf(all: readonly Uint8Array[]): Digest {
  const digest = new Digest();
  for (const one of all) digest.add(one);
  return digest;
}

describe('Digest', () => {
  it('does not depend on the order', () => {
    fc.assert(
      fc.property(
        fingerprints.chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length })),
        ),
        ([all, shuffled]) => assert.ok(digestOf(all).equals(digestOf(shuffled))),
      ),
    );
  });

  it('is the same again after an added fingerprint is removed', () => {
    fc.assert(
      fc.property(fingerprints, fingerprint, (all, one) => {
        const digest = digestOf(all);
        digest.add(one);
        assert.ok(!digest.equals(digestOf(all)));
        digest.remove(one);
        assert.ok(digest.equals(digestOf(all)));
      }),
    );
  });

  it('differs if a fingerprint is missing, added or replaced', () => {
    fc.assert(
      fc.property(fingerprints, fingerprint, (all, one) => {
        const digest = digestOf(all);
        assert.ok(all.length === 0 || !digest.equals(digestOf(all.slice(1))));
        assert.ok(!digest.equals(digestOf([...all, one])));
        assert.ok(all.length === 0 || !digest.equals(digestOf([one, ...all.slice(1)])));
      }),
    );
  });

  it('counts records, so that two equal fingerprints do not cancel out', () => {
    const digest = digestOf([new Uint8Array(32).fill(1), new Uint8Array(32).fill(1)]);
    assert.ok(!digest.equals(new Digest()));
    assert.equal(digest.records, 2);
  });

  it('shares no memory with the bytes it was constructed from', () => {
    const bytes = new Uint8Array(32);
    const digest = new Digest(0, bytes);
    digest.add(new Uint8Array(32).fill(7));
    assert.ok(bytes.every((byte) => byte === 0));
    bytes.fill(9);
    assert.deepEqual(
      [...digest.bytes],
      Array.from({ length: 32 }, () => 7),
    );
  });
});

describe('encodeHead()', () => {
  const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });

  it('is undone by decodeHead()', () => {
    fc.assert(
      fc.property(count, count, fingerprint, (commits, records, bytes) => {
        const head = decodeHead(encodeHead({ commits, digest: new Digest(records, bytes) }));
        assert.equal(head?.commits, commits);
        assert.ok(head.digest.equals(new Digest(records, bytes)));
      }),
    );
  });

  it('has the bytes of the file format', () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, index) => index);
    const encoded = Buffer.from(encodeHead({ commits: 0x0102, digest: new Digest(0x03_0000_0004, bytes) }));
    assert.equal(encoded.toString('hex'), `00000000000001020000000300000004${Buffer.from(bytes).toString('hex')}`);
  });
});

describe('decodeHead()', () => {
  it('refuses every other length', () => {
    for (let length = 0; length < 100; length += 1) {
      assert.equal(decodeHead(new Uint8Array(length)) !== undefined, length === 48, `${length}`);
    }
  });

  it('reads a view into a larger buffer', () => {
    const large = new Uint8Array(100);
    large.set(encodeHead({ commits: 5, digest: new Digest(6) }), 11);
    const head = decodeHead(large.subarray(11, 59));
    assert.deepEqual([head?.commits, head?.digest.records], [5, 6]);
  });
});
