import assert from 'node:assert/strict';
import { randomBytes as nodeRandomBytes } from 'node:crypto';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import official from 'libsodium-wrappers';
import { SEAL_BYTES, Sodium, randomBytes, wipe } from '../../../daemon/vault/sodium.ts';
import { run } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';

/** draft-irtf-cfrg-xchacha-03, appendix A.3.1. */
const VECTOR = {
  key: '808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f',
  nonce: '404142434445464748494a4b4c4d4e4f5051525354555657',
  associated: '50515253c0c1c2c3c4c5c6c7',
  text: "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  cipher:
    'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e',
  tag: 'c0875924c1c7987947deafd8780acf49',
};

let sodium: Sodium;
before(async () => {
  sodium = await Sodium.load();
});

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const bytes = fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ minLength: 8000, maxLength: 20_000 }));

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

function hex(text: Uint8Array | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text).toString('hex');
}

/** Returns all memory of libsodium's module, its stack included. */
function heap(): Buffer {
  const { HEAPU8 } = (official as unknown as { libsodium: { HEAPU8: Uint8Array } }).libsodium;
  return Buffer.from(HEAPU8.buffer, HEAPU8.byteOffset, HEAPU8.byteLength);
}

function assertWorkplaceWiped(): void {
  const [, arena = new Uint8Array(), stack = new Uint8Array()] = sodium.memory;
  for (const memory of [arena, stack]) assert.ok(memory.every((byte) => byte === 0));
  assert.ok(stack.length > 400 && stack.length < 65_536, `a stack of ${stack.length} bytes`);
}

describe('Sodium.open()', () => {
  it('opens the test vector of the XChaCha20-Poly1305 draft', () => {
    const sealed = bytesOf(VECTOR.nonce + VECTOR.cipher + VECTOR.tag);
    const text = sodium.open(bytesOf(VECTOR.key), sealed, bytesOf(VECTOR.associated));
    assert.equal(Buffer.from(text ?? []).toString(), VECTOR.text);
  });

  it("opens a text that libsodium's own function sealed", () => {
    fc.assert(
      fc.property(key, bytes, bytes, (k, text, associated) => {
        const nonce = official.randombytes_buf(24);
        const cipher = official.crypto_aead_xchacha20poly1305_ietf_encrypt(text, associated, null, nonce, k);
        assert.equal(hex(sodium.open(k, Buffer.concat([nonce, cipher]), associated)), hex(text));
      }),
      { numRuns: 30 },
    );
  });

  it('refuses any changed byte of the sealed text, the key or the associated data', () => {
    fc.assert(
      fc.property(
        key,
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (k, text, ad) => {
          const sealed = sodium.seal(k, text, ad);
          for (const [index, part] of [sealed, k, ad].entries()) {
            for (let at = 0; at < part.length; at += 1) {
              const changed = Uint8Array.from(part);
              changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
              const [s = sealed, c = k, a = ad] = [sealed, k, ad].map((same, which) =>
                which === index ? changed : same,
              );
              assert.equal(sodium.open(c, s, a), undefined);
            }
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('refuses a truncated or extended text', () => {
    const k = nodeRandomBytes(32);
    const sealed = sodium.seal(k, Buffer.from('text'), new Uint8Array());
    for (let length = 0; length < sealed.length; length += 1) {
      assert.equal(sodium.open(k, sealed.subarray(0, length), new Uint8Array()), undefined);
      if (length > 0) assert.equal(sodium.open(k, sealed.subarray(length), new Uint8Array()), undefined);
    }
    assert.equal(sodium.open(k, Buffer.concat([sealed, Buffer.of(0)]), new Uint8Array()), undefined);
    assert.equal(sodium.open(k, Buffer.concat([Buffer.of(0), sealed]), new Uint8Array()), undefined);
  });

  it('does not confuse a byte of the text with one of the associated data', () => {
    const k = nodeRandomBytes(32);
    const sealed = sodium.seal(k, Buffer.from('b'), Buffer.from('a'));
    for (const associated of ['', 'ab', 'b', 'a\0'])
      assert.equal(sodium.open(k, sealed, Buffer.from(associated)), undefined);
  });
});

describe('Sodium.openFor()', () => {
  const k = nodeRandomBytes(32);
  const associated = nodeRandomBytes(8);
  const plain = Buffer.from('a secret of some length');

  it('shows the text to its callback, and wipes it in place, even if the callback throws', () => {
    const sealed = sodium.seal(k, plain, associated);
    const views: Uint8Array[] = [];
    const look = (text: Uint8Array): string => {
      views.push(text);
      return Buffer.from(text).toString();
    };
    assert.equal(sodium.openFor(k, sealed, associated, look), plain.toString());
    const fail = (text: Uint8Array): never => {
      views.push(text);
      throw new Error('its use fails');
    };
    assert.throws(() => sodium.openFor(k, sealed, associated, fail), /its use fails/);
    assert.equal(views.length, 2);
    for (const view of views) assert.deepEqual([...view], [...new Uint8Array(plain.length)]);
    assertWorkplaceWiped();
  });

  it('does not call its callback for a text that does not authenticate', () => {
    const sealed = sodium.seal(k, plain, associated);
    assert.equal(
      sodium.openFor(k, sealed, Buffer.from('other'), () => assert.fail('it was shown')),
      undefined,
    );
  });
});

describe('Sodium.seal()', () => {
  it('is undone by open(), even for texts larger than the arena', () => {
    fc.assert(
      fc.property(key, bytes, bytes, (k, text, associated) => {
        const sealed = sodium.seal(k, text, associated);
        assert.equal(sealed.length, text.length + SEAL_BYTES);
        assert.equal(hex(sodium.open(k, sealed, associated)), hex(text));
      }),
      { numRuns: 50 },
    );
    const large = nodeRandomBytes(1_100_000);
    const k = nodeRandomBytes(32);
    assert.ok(large.equals(sodium.open(k, sodium.seal(k, large, new Uint8Array()), new Uint8Array()) ?? Buffer.of()));
  });

  it("is opened by libsodium's own function", () => {
    fc.assert(
      fc.property(key, bytes, bytes, (k, text, associated) => {
        const sealed = sodium.seal(k, text, associated);
        const opened = official.crypto_aead_xchacha20poly1305_ietf_decrypt(
          null,
          sealed.subarray(24),
          associated,
          sealed.subarray(0, 24),
          k,
        );
        assert.equal(hex(opened), hex(text));
      }),
      { numRuns: 30 },
    );
  });

  it('uses a different nonce each time', () => {
    const k = nodeRandomBytes(32);
    const nonces = Array.from({ length: 500 }, () =>
      hex(sodium.seal(k, new Uint8Array(), new Uint8Array()).subarray(0, 24)),
    );
    assert.equal(new Set(nonces).size, 500);
    assert.ok(!nonces.includes('00'.repeat(24)));
    // Of 500 random bytes, some 220 are distinct.
    for (let place = 0; place < 24; place += 1) {
      assert.ok(new Set(nonces.map((nonce) => nonce?.slice(2 * place, 2 * place + 2))).size > 150, `byte ${place}`);
    }
  });

  it('leaves its inputs unchanged', () => {
    const inputs = [nodeRandomBytes(32), Buffer.from('text'), Buffer.from('associated')] as const;
    const before_ = inputs.map(hex);
    sodium.seal(...inputs);
    assert.deepEqual(inputs.map(hex), before_);
  });
});

describe('Sodium.keyedHash()', () => {
  it('is keyed BLAKE2b', () => {
    fc.assert(
      fc.property(key, bytes, fc.integer({ min: 16, max: 64 }), (k, message, length) => {
        assert.equal(hex(sodium.keyedHash(k, message, length)), hex(official.crypto_generichash(length, message, k)));
      }),
      { numRuns: 30 },
    );
  });
});

describe('Sodium.hashedKey()', () => {
  it('returns the same hash, in key memory', () => {
    const [k, message] = [nodeRandomBytes(32), nodeRandomBytes(20)];
    const hashed = sodium.hashedKey(k, message);
    assert.equal(hashed.buffer, sodium.memory[0]?.buffer);
    assert.equal(hex(hashed), hex(sodium.keyedHash(k, message, 32)));
    sodium.release(hashed);
  });
});

describe('Sodium.deriveKey()', () => {
  it("is libsodium's crypto_kdf", () => {
    fc.assert(
      fc.property(key, fc.nat({ max: 2 ** 31 - 1 }), (k, id) => {
        const subkey = sodium.deriveKey(k, id, 'cio-test');
        assert.equal(hex(subkey), hex(official.crypto_kdf_derive_from_key(32, id, 'cio-test', k)));
        sodium.release(subkey);
      }),
    );
  });

  it('refuses a context of another length', () => {
    for (const context of ['', 'short', 'too long!']) {
      assert.throws(() => sodium.deriveKey(new Uint8Array(32), 1, context), RangeError);
    }
  });
});

describe('Sodium keys', () => {
  it('are random, and in key memory', () => {
    const keys = [sodium.newKey(), sodium.newKey()];
    const block = sodium.memory[0];
    for (const one of keys) {
      assert.equal(one.buffer, block?.buffer);
      assert.notEqual(hex(one), '00'.repeat(32));
    }
    assert.notEqual(hex(keys[0]), hex(keys[1]));
    sodium.release(...keys);
  });

  it('copyKey() copies a key, and refuses anything of another length', () => {
    const one = sodium.newKey();
    const wanted = hex(one);
    const copy = sodium.copyKey(one);
    sodium.release(one);
    assert.equal(hex(copy), wanted);
    sodium.release(copy);
    for (const length of [0, 31, 33]) assert.throws(() => sodium.copyKey(new Uint8Array(length)), RangeError);
  });

  it('openKey() opens a sealed key into key memory, and nothing else', () => {
    const [outer, inner, associated] = [nodeRandomBytes(32), nodeRandomBytes(32), nodeRandomBytes(8)];
    const opened = sodium.openKey(outer, sodium.seal(outer, inner, associated), associated);
    assert.equal(opened?.buffer, sodium.memory[0]?.buffer);
    assert.equal(hex(opened), hex(inner));
    sodium.release(opened);
    assert.equal(sodium.openKey(inner, sodium.seal(outer, inner, associated), associated), undefined);
    for (const length of [0, 31, 33, 64]) {
      const sealed = sodium.seal(outer, nodeRandomBytes(length), associated);
      assert.equal(sodium.openKey(outer, sealed, associated), undefined, `${length} bytes`);
    }
    assert.ok(sodium.memory[0]?.every((byte) => byte === 0));
  });

  it('are all zeros once released', () => {
    const keys = [
      sodium.newKey(),
      sodium.copyKey(nodeRandomBytes(32)),
      sodium.deriveKey(nodeRandomBytes(32), 1, 'cio-test'),
    ];
    sodium.release(...keys);
    assert.ok(sodium.memory[0]?.every((byte) => byte === 0));
  });
});

describe('Sodium after each call', () => {
  const sizes = { 'in its arena': 100, 'beyond its arena': 100_000 };
  for (const [where, size] of Object.entries(sizes)) {
    it(`has wiped everything it worked with ${where}: nothing is left anywhere in the module's memory`, () => {
      // Made outside the module, and never passed to its other functions.
      const k = nodeRandomBytes(32);
      const text = nodeRandomBytes(size);
      const associated = nodeRandomBytes(40);
      const sealed = sodium.seal(k, text, associated);
      sodium.open(k, sealed, associated);
      sodium.open(k, sealed, Buffer.from('other'));
      const hash = sodium.keyedHash(k, text, 32);
      const subkey = sodium.deriveKey(k, 1, 'cio-test');
      const all = heap();
      for (const [what, secret] of Object.entries({ k, text, subkey, hash })) {
        for (let at = 0; at + 16 <= Math.min(secret.length, 256); at += 8) {
          assert.ok(!all.includes(Buffer.from(secret.subarray(at, at + 16))), `${what}, from byte ${at}`);
        }
      }
      assertWorkplaceWiped();
      sodium.release(subkey);
    });
  }
});

describe('randomBytes()', () => {
  it('returns as many bytes as requested, different ones each time', () => {
    assert.equal(randomBytes(0).length, 0);
    assert.notEqual(hex(randomBytes(16)), hex(randomBytes(16)));
  });
});

describe('wipe()', () => {
  it('overwrites everything it is given, and skips undefined', () => {
    const secrets = [Buffer.from('one'), Uint8Array.of(1, 2)];
    wipe(secrets[0], undefined, secrets[1]);
    assert.ok(secrets.every((secret) => secret.every((byte) => byte === 0)));
  });
});

describe('Sodium.memory', () => {
  it('covers the keys, the arena and the stack, for locking', () => {
    const places = (part: Uint8Array): number[] =>
      [...sodium.memory.entries()]
        .filter(([, { buffer, byteOffset, length }]) => {
          const from = part.byteOffset - byteOffset;
          return buffer === part.buffer && from >= 0 && from + part.length <= length;
        })
        .map(([index]) => index);
    const secret = sodium.newKey();
    assert.deepEqual(places(secret), [0]);
    const sealed = sodium.seal(secret, Buffer.from('text'), Buffer.of());
    assert.deepEqual(sodium.openFor(secret, sealed, Buffer.of(), places), [1]);
    const [, arena, stack] = sodium.memory;
    assert.ok(stack !== undefined && stack.length > 0 && stack.buffer === arena?.buffer);
    sodium.release(secret);
  });

  it('is no more than any process may lock, even before Linux 5.16', { skip: skipUnless(root) }, async () => {
    const script = `
      const [sodium, libc] = await Promise.all(process.argv.slice(1).map((file) => import(file)));
      for (const memory of (await sodium.Sodium.load()).memory) libc.lockPages(memory);
      console.log('locked');
    `;
    const files = [
      ['vault', 'sodium.ts'],
      ['kernel', 'libc.ts'],
    ].map((file) => path.join(import.meta.dirname, '..', '..', '..', 'daemon', ...file));
    const node = [process.execPath, '--input-type=module', '-e', script, ...files];
    // Without CAP_IPC_LOCK, with which root may exceed the limit.
    const limited = ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', '--', 'prlimit', '--memlock=65536'];
    const { stdout, stderr } = await run([...limited, ...node]);
    assert.equal(stdout.toString(), 'locked\n', stderr);
  });
});
