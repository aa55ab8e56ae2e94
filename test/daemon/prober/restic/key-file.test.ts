import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isKeyName, KEY_FILE_BYTES_MAX, parseKeyFile } from '../../../../daemon/prober/restic/key-file.ts';
import { makeKeyFile, named, randomKey } from './reference.ts';

function parsed(members: Readonly<Record<string, unknown>>): ReturnType<typeof parseKeyFile> {
  const { bytes, name } = makeKeyFile({ password: 'password', master: randomKey(), members });
  return parseKeyFile(bytes, name);
}

function reasonOf(members: Readonly<Record<string, unknown>>): string {
  const file = parsed(members);
  return 'reason' in file ? file.reason : 'taken';
}

describe('parseKeyFile()', () => {
  it('accepts the parameters that restic and rustic write', () => {
    for (const [N, r, p] of [
      [32_768, 8, 3],
      [16_384, 8, 1],
      [131_072, 8, 1],
      [32_768, 8, 16],
    ]) {
      const file = parsed({ N, r, p });
      assert.ok('parameters' in file);
      assert.deepEqual(file.parameters, { N, r, p });
      assert.equal(file.salt.length, 64);
    }
  });

  it('ignores unknown members, and those about the user', () => {
    const members = { comment: ['x'], created: undefined, username: undefined, hostname: 'h\u00f4te' };
    assert.equal(reasonOf(members), 'taken');
  });

  const base64 = (length: number): string => Buffer.alloc(length, 1).toString('base64');
  const malformed: readonly (readonly [what: string, members: Readonly<Record<string, unknown>>])[] = [
    ['another kdf', { kdf: 'argon2id' }],
    ['no kdf', { kdf: undefined }],
    ['no N', { N: undefined }],
    ['N as text', { N: '32768' }],
    ['N that is not a power of two', { N: 32_767 }],
    ['N of 1', { N: 1 }],
    ['N of 0', { N: 0 }],
    ['a negative N', { N: -32_768 }],
    ['a fraction', { N: 1.5 }],
    ['N of 1e300', { N: 1e300 }],
    ['N above the safe integers', { N: 2 ** 53 }],
    ['r of 0', { r: 0 }],
    ['a negative r', { r: -8 }],
    ['p of 0', { p: 0 }],
    ['r as null', { r: null }],
    ['r · p from 2^30 on', { r: 2 ** 15, p: 2 ** 15 }],
    ['no salt', { salt: undefined }],
    ['a salt of 63 bytes', { salt: base64(63) }],
    ['a salt of 65 bytes', { salt: base64(65) }],
    ['a salt that is not base64', { salt: '*'.repeat(88) }],
    ['a salt without padding', { salt: base64(64).replace(/=+$/, '') }],
    ['a salt of URL-safe base64', { salt: Buffer.alloc(64, 0xff).toString('base64').replaceAll('/', '_') }],
    ['a salt as an array', { salt: Array.from({ length: 64 }, () => 1) }],
    ['no data', { data: undefined }],
    ['data too short', { data: base64(31) }],
    ['data too long', { data: base64(1025) }],
  ];
  for (const [what, members] of malformed) {
    it(`refuses ${what}`, () => assert.equal(reasonOf(members), 'not_a_repository'));
  }

  it('accepts the shortest and the longest data', () => {
    for (const length of [32, 1024]) assert.equal(reasonOf({ data: base64(length) }), 'taken');
  });

  const expensive: readonly (readonly [what: string, members: Readonly<Record<string, unknown>>])[] = [
    ['slightly more than 256 MiB', { N: 2 ** 18, r: 8, p: 1 }],
    ['the memory of a large r', { N: 2, r: 2 ** 20, p: 1 }],
    ['the memory of a large p', { N: 2, r: 1, p: 2 ** 22 }],
    ['more than eight times the usual work', { N: 2 ** 15, r: 8, p: 33 }],
    ['N from 2^(16 · r) on', { N: 2 ** 16, r: 1, p: 1 }],
    ['the largest possible numbers', { N: 2 ** 52, r: 2 ** 29, p: 1 }],
  ];
  for (const [what, members] of expensive) {
    it(`refuses ${what}`, () => assert.equal(reasonOf(members), 'untrusted_parameters'));
  }

  it('refuses a file that is not named by the hash of its bytes', () => {
    const { bytes, name } = makeKeyFile({ password: 'password', master: randomKey() });
    const others = [name.toUpperCase(), `${name} `, name.slice(0, -1), '', '0'.repeat(64)];
    for (const other of others) assert.ok('reason' in parseKeyFile(bytes, other));
    assert.deepEqual(parseKeyFile(bytes, '0'.repeat(64)), {
      reason: 'not_a_repository',
      subject: `keys/${'0'.repeat(64)}`,
    });
  });

  it('accepts a file of the largest size, and refuses a larger one', () => {
    const { bytes } = makeKeyFile({ password: 'password', master: randomKey() });
    const padded = (length: number): ReturnType<typeof named> =>
      named(Buffer.concat([bytes, Buffer.alloc(length - bytes.length, ' ')]));
    const largest = padded(KEY_FILE_BYTES_MAX);
    const larger = padded(KEY_FILE_BYTES_MAX + 1);
    assert.ok('parameters' in parseKeyFile(largest.bytes, largest.name));
    assert.ok('reason' in parseKeyFile(larger.bytes, larger.name));
  });

  it('refuses what is not a JSON object', () => {
    for (const text of ['', '{', 'null', '[]', '"scrypt"', '1', '{}', '['.repeat(16_000), '\ufeff{}']) {
      const { bytes, name } = named(Buffer.from(text));
      assert.ok('reason' in parseKeyFile(bytes, name), text.slice(0, 10));
    }
  });

  it('never throws, whatever the bytes and the JSON', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(anyBytes, (bytes) => assert.ok('reason' in parseKeyFile(bytes, named(bytes).name))),
      { numRuns: 500 },
    );
  });
});

describe('isKeyName()', () => {
  it('accepts exactly 64 lowercase hex digits', () => {
    assert.ok(isKeyName('0123456789abcdef'.repeat(4)));
    for (const name of ['', 'README', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), `${'a'.repeat(64)}\n`])
      assert.ok(!isKeyName(name));
  });
});
