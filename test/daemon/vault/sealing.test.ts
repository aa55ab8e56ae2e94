import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { KIND, fixedTag } from '../../../daemon/store/sealed-store.ts';
import type { Kind } from '../../../daemon/store/sealed-store.ts';
import { ID_BYTES, Sealing } from '../../../daemon/vault/sealing.ts';
import { Sodium } from '../../../daemon/vault/sodium.ts';

const STORE_ID = randomBytes(ID_BYTES);
const DATA_KEY = randomBytes(32);
const SEALED_KINDS = [KIND.principal, KIND.credential, KIND.value] as const;

const kind = fc.constantFrom(...SEALED_KINDS);
const tag = fc.uint8Array({ minLength: ID_BYTES, maxLength: ID_BYTES });
const text = fc.uint8Array({ maxLength: 600 });

let sodium: Sodium;
let sealing: Sealing;
before(async () => {
  sodium = await Sodium.load();
  sealing = new Sealing(sodium, STORE_ID, 1, DATA_KEY);
});

function sealingOf(changes: { storeId?: Uint8Array; epoch?: number; dataKey?: Uint8Array }): Sealing {
  return new Sealing(sodium, changes.storeId ?? STORE_ID, changes.epoch ?? 1, changes.dataKey ?? DATA_KEY);
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  const index = Math.floor(bit / 8) % bytes.length;
  changed[index] = (changed[index] ?? 0) ^ (1 << (bit % 8));
  return changed;
}

describe('Sealing.seal()', () => {
  it('is undone by open()', () => {
    fc.assert(
      fc.property(kind, tag, text, (k, t, plain) => {
        assert.deepEqual(sealing.open(k, t, sealing.seal(k, t, plain)), plain);
      }),
    );
  });

  it('makes a different body of the same text each time, padded to one of a few sizes', () => {
    const t = randomBytes(ID_BYTES);
    const bodies = ['', 'a', 'a', 'b'.repeat(252)].map((plain) => sealing.seal(KIND.value, t, Buffer.from(plain)));
    assert.equal(new Set(bodies.map((body) => Buffer.from(body).toString('hex'))).size, 4);
    for (const body of bodies) assert.equal(body.length, 256 + 40);
  });

  it('leaves the text unchanged, and no copy of it in the memory of the module', () => {
    const plain = randomBytes(300);
    const copy = Buffer.from(plain);
    sealing.seal(KIND.value, randomBytes(ID_BYTES), plain);
    assert.deepEqual(plain, copy);
    assert.ok(sodium.memory[1]?.every((byte) => byte === 0));
  });

  it('wipes the padded text, small or large, even if sealing fails', (t) => {
    const padded: Uint8Array[] = [];
    let isFailing = false;
    t.mock.method(sodium, 'seal', (...args: Parameters<Sodium['seal']>) => {
      padded.push(args[1]);
      assert.ok(Buffer.from(args[1]).includes('secret'));
      if (isFailing) throw new RangeError('it fails');
      return Sodium.prototype.seal.apply(sodium, args);
    });
    for (isFailing of [false, true]) {
      for (const bytes of [10, 20_000]) {
        const work = (): unknown => sealing.seal(KIND.value, randomBytes(ID_BYTES), Buffer.alloc(bytes, 'secret'));
        if (isFailing) assert.throws(work, RangeError);
        else work();
      }
    }
    assert.equal(padded.length, 4);
    for (const text of padded) assert.ok(text.every((byte) => byte === 0));
  });
});

describe('Sealing.open()', () => {
  it('refuses a body with any changed bit', () => {
    const t = randomBytes(ID_BYTES);
    const body = sealing.seal(KIND.credential, t, randomBytes(40));
    for (let bit = 0; bit < body.length * 8; bit += 1) {
      assert.equal(sealing.open(KIND.credential, t, flipped(body, bit)), undefined);
    }
  });

  it('refuses a body that was truncated or extended', () => {
    fc.assert(
      fc.property(fc.nat({ max: 296 }), fc.uint8Array({ minLength: 1, maxLength: 40 }), (length, more) => {
        const t = randomBytes(ID_BYTES);
        const body = sealing.seal(KIND.value, t, Buffer.from('value'));
        if (length < body.length) assert.equal(sealing.open(KIND.value, t, body.subarray(0, length)), undefined);
        assert.equal(sealing.open(KIND.value, t, Buffer.concat([body, more])), undefined);
      }),
    );
  });

  it('refuses a body with the tag of another record', () => {
    fc.assert(
      fc.property(tag, text, fc.nat({ max: 127 }), (t, plain, bit) => {
        const body = sealing.seal(KIND.value, t, plain);
        assert.equal(sealing.open(KIND.value, flipped(t, bit), body), undefined);
      }),
    );
  });

  it('refuses a body under another kind', () => {
    const kinds = Object.values(KIND);
    const t = randomBytes(ID_BYTES);
    for (const sealed of kinds) {
      const body = sealing.seal(sealed, t, Buffer.from('text'));
      for (const opened of kinds) assert.equal(sealing.open(opened, t, body) !== undefined, opened === sealed);
    }
  });

  const others: Record<string, () => Sealing> = {
    'another store': () => sealingOf({ storeId: flipped(STORE_ID, 5) }),
    'another epoch of the key': () => sealingOf({ epoch: 2 }),
    'another data key': () => sealingOf({ dataKey: flipped(DATA_KEY, 5) }),
  };
  for (const [what, other] of Object.entries(others)) {
    it(`refuses a body of ${what}`, () => {
      const t = randomBytes(ID_BYTES);
      for (const k of SEALED_KINDS) {
        const there = other();
        assert.equal(sealing.open(k, t, there.seal(k, t, Buffer.from('text'))), undefined);
        assert.equal(there.open(k, t, sealing.seal(k, t, Buffer.from('text'))), undefined);
        there.wipe();
      }
    });
  }

  it('refuses a tag of the wrong length, and does not throw', () => {
    fc.assert(
      fc.property(
        kind,
        fc.uint8Array({ maxLength: 14 }),
        text,
        fc.uint8Array({ maxLength: 40 }),
        (k, start, plain, more) => {
          // Tags are padded with zeros: without a length check, these two would be the same place.
          const short = Buffer.concat([start, Buffer.of(1)]);
          const t = Buffer.concat([short, Buffer.alloc(ID_BYTES - short.length)]);
          const body = sealing.seal(k, t, plain);
          assert.notEqual(sealing.open(k, t, body), undefined);
          assert.equal(sealing.open(k, short, body), undefined);
          assert.equal(sealing.open(k, Buffer.concat([t, Buffer.of(0), more]), body), undefined);
        },
      ),
    );
  });

  it('opens a head, whose tag is a word', () => {
    const body = sealing.seal(KIND.head, fixedTag('head'), Buffer.from('head'));
    assert.equal(Buffer.from(sealing.open(KIND.head, fixedTag('head'), body) ?? []).toString(), 'head');
    assert.equal(sealing.open(KIND.head, fixedTag('store'), body), undefined);
  });

  it('never throws, whatever is in the file', () => {
    const anyKind = fc.constantFrom(...Object.values(KIND)).filter((k) => k !== KIND.head);
    fc.assert(
      fc.property(anyKind, fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 400 }), (k, t, body) => {
        assert.equal(sealing.open(k, t, body), undefined);
      }),
    );
  });
});

describe('Sealing tags', () => {
  it("are 16 bytes that depend on all their inputs and on the store's key", () => {
    const other = sealingOf({ dataKey: flipped(DATA_KEY, 1) });
    const tags = [
      sealing.credentialTag('system', 'a'),
      sealing.credentialTag('system', 'b'),
      sealing.credentialTag('uid:1', 'a'),
      sealing.valueTag('a', 1),
      sealing.valueTag('a', 11),
      sealing.valueTag('a1', 1),
      sealing.principalTag('system'),
      sealing.principalTag('uid:1'),
      other.credentialTag('system', 'a'),
    ].map((bytes) => Buffer.from(bytes).toString('hex'));
    other.wipe();
    assert.ok(tags.every((hex) => hex.length === 2 * ID_BYTES));
    assert.equal(new Set(tags).size, tags.length);
  });

  it('are deterministic', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        assert.deepEqual(sealing.credentialTag('system', name), sealing.credentialTag('system', name));
      }),
    );
  });
});

describe('Sealing.fingerprint()', () => {
  const places = fc.tuple(fc.constantFrom<Kind>(...Object.values(KIND)), fc.uint8Array({ maxLength: 20 }), text);

  it('differs whenever any input differs', () => {
    fc.assert(
      fc.property(places, places, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        assert.equal(Buffer.compare(sealing.fingerprint(...a), sealing.fingerprint(...b)) === 0, same);
      }),
    );
  });

  it('does not confuse a byte of the tag with one of the body', () => {
    assert.notDeepEqual(
      sealing.fingerprint(KIND.slot, Buffer.from('ab'), Buffer.from('c')),
      sealing.fingerprint(KIND.slot, Buffer.from('a'), Buffer.from('bc')),
    );
  });

  it('is different for every sealing of the same text', () => {
    const t = randomBytes(ID_BYTES);
    const [a, b] = [1, 2].map(() => sealing.fingerprint(KIND.value, t, sealing.seal(KIND.value, t, Buffer.from('x'))));
    assert.notDeepEqual(a, b);
  });

  it('depends on the key', () => {
    const other = sealingOf({ dataKey: flipped(DATA_KEY, 1) });
    const place = [KIND.slot, Buffer.from('a'), Buffer.from('b')] as const;
    assert.notDeepEqual(sealing.fingerprint(...place), other.fingerprint(...place));
    other.wipe();
  });
});

describe('Sealing.wipe()', () => {
  it('leaves none of its keys in memory', () => {
    const other = sealingOf({});
    const held = sodium.memory[0]?.filter((byte) => byte !== 0).length ?? 0;
    other.wipe();
    const left = sodium.memory[0]?.filter((byte) => byte !== 0).length ?? 0;
    assert.ok(left < held - 80, 'three keys of 32 bytes are gone');
  });
});
