import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EXPORT_BYTES_MAX, EXPORT_CREDENTIALS_MAX, ExportFormatError } from '../../src/export-format.ts';
import { formatExport, parseExport } from '../../src/export-format.ts';
import type { ExportDocument, ExportedCredential } from '../../src/export-format.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { anyText } from './any-text.ts';

const GOOD = { format: 'cio-credential-export', version: 1, created: 1, credentials: [{ name: 'a', value: 'b' }] };
/** A secret that no message may repeat. */
const SECRET = 'hunter2-of-the-export';

function withCredential(credential: unknown): object {
  return { ...GOOD, credentials: [credential] };
}

function parse(document: unknown): ExportDocument {
  return parseExport(JSON.stringify(document));
}

function refusalOf(document: unknown): string {
  try {
    parse(document);
  } catch (error) {
    assert.ok(error instanceof ExportFormatError, String(error));
    assert.ok(!error.message.includes(SECRET), error.message);
    return error.message;
  }
  return assert.fail('it is taken');
}

const anyName = fc.stringMatching(/^[a-z][a-z0-9.-]{0,20}$/);
const anyValue = anyText.filter((text) => text !== '').map((value) => ({ value }));
const anyData = fc.uint8Array({ minLength: 1 }).map((bytes) => ({ data: Buffer.from(bytes).toString('base64') }));
const anyCredential: fc.Arbitrary<ExportedCredential> = fc
  .tuple(anyName, fc.oneof(anyValue, anyData))
  .map(([name, wire]) => ({ name, ...wire }));

describe('formatExport() and parseExport()', () => {
  it('round-trip any export', () => {
    const anyCredentials = fc.uniqueArray(anyCredential, { selector: ({ name }) => name, maxLength: 8 });
    fc.assert(
      fc.property(fc.maxSafeNat(), anyCredentials, fc.boolean(), (created, credentials, hasId) => {
        const whole = { created, credentials, ...(hasId && { storeId: '01234567-89ab-4def-8123-456789abcdef' }) };
        assert.deepEqual(parseExport(formatExport(whole)), whole);
      }),
    );
  });

  it('refuse a text that is truncated anywhere, and throw nothing but ExportFormatError', () => {
    const text = formatExport({ created: 1, credentials: [{ name: 'a', value: SECRET }] });
    for (let length = 0; length < text.trimEnd().length; length += 1) {
      assert.throws(() => parseExport(text.slice(0, length)), ExportFormatError);
    }
    fc.assert(
      fc.property(fc.nat({ max: text.length - 1 }), fc.integer({ min: 0, max: 0xffff }), (at, unit) => {
        try {
          parseExport(text.slice(0, at) + String.fromCharCode(unit) + text.slice(at + 1));
        } catch (error) {
          assert.ok(error instanceof ExportFormatError);
        }
      }),
    );
  });
});

describe('parseExport()', () => {
  it('returns canonical names for other spellings', () => {
    const { credentials } = parse(withCredential({ name: 'cio_alt_aws_restic_repo', value: 'x' }));
    assert.deepEqual(credentials, [{ name: 'cio_aws_alt_backup_repo', value: 'x' }]);
  });

  it('refuses other documents, newer versions and unknown fields', () => {
    for (const document of [null, 1, 'x', [], {}, { ...GOOD, format: 'other' }]) {
      assert.equal(refusalOf(document), 'it is not a cio-credential-export');
    }
    assert.equal(
      refusalOf({ ...GOOD, version: 2, future: SECRET }),
      'version: it is 2, and this program reads up to 1',
    );
    for (const version of [0, -1, 1.5, '1', null]) assert.match(refusalOf({ ...GOOD, version }), /^version: /);
    assert.match(refusalOf({ ...GOOD, [SECRET]: 1 }), /a field other than/);
    assert.match(refusalOf(JSON.parse(`${JSON.stringify(GOOD).slice(0, -1)},"__proto__":{}}`)), /a field other than/);
    assert.match(refusalOf(withCredential({ name: 'a', value: 'b', owner: 0 })), /^credentials\[0\]: it has a field/);
    for (const created of [-1, 1.5, '1', undefined]) assert.match(refusalOf({ ...GOOD, created }), /^created: /);
    for (const storeId of ['', 'A'.repeat(32), 1, null]) assert.match(refusalOf({ ...GOOD, storeId }), /^storeId: /);
  });

  it('refuses a credential that could not be stored, and says which', () => {
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [null, /^credentials\[0\]: it is not an object$/],
      [[], /^credentials\[0\]: it is not an object$/],
      [{ value: SECRET }, /\.name: it is not text$/],
      [{ name: `a ${SECRET}`, value: 'x' }, /\.name: the name is not valid: character 2/],
      [{ name: 'a'.repeat(129), value: 'x' }, /\.name: .*longer than 128/],
      [{ name: '123e4567-e89b-12d3-a456-426614174000', value: 'x' }, /UUID/],
      [{ name: 'a' }, /neither value nor data/],
      [{ name: 'a', value: SECRET, data: 'eA==' }, /both value and data/],
      [{ name: 'a', value: 1 }, /\.value: it is not text/],
      [{ name: 'a', value: null }, /\.value: it is not text/],
      [{ name: 'a', value: '\ud800' }, /\.value: it is not text/],
      [{ name: 'a', value: '' }, /\.value: it is empty/],
      [{ name: 'a', data: '' }, /\.data: it is empty/],
      [{ name: 'a', value: 'x'.repeat(VALUE_BYTES_MAX + 1) }, /\.value: it is larger than 1048576 bytes/],
      [{ name: 'a', value: 'é'.repeat(VALUE_BYTES_MAX / 2 + 1) }, /\.value: it is larger/],
      [{ name: 'a', value: '€'.repeat(VALUE_BYTES_MAX / 3 + 1) }, /\.value: it is larger/],
      [{ name: 'a', value: '😀'.repeat(VALUE_BYTES_MAX / 4 + 1) }, /\.value: it is larger/],
      [{ name: 'a', data: Buffer.alloc(VALUE_BYTES_MAX + 1).toString('base64') }, /\.data: it is larger/],
    ];
    for (const [credential, expected] of cases) assert.match(refusalOf(withCredential(credential)), expected);
    for (const data of ['e', 'eA', 'eA=', 'eB==', 'eHl=', '=eA=', 'e===', 'eA==eA==', 'e A=', '-_==', SECRET]) {
      assert.match(refusalOf(withCredential({ name: 'a', data })), /\.data: it is not base64/, data);
    }
    assert.match(refusalOf({ ...GOOD, credentials: {} }), /it is not a list/);
    const twice = [
      { name: 'cio_aws_alt_access_key', value: 'x' },
      { name: 'cio_alt_aws_access_key', value: 'y' },
    ];
    assert.match(refusalOf({ ...GOOD, credentials: twice }), /^credentials\[1\]\.name: .* occurs twice$/);
  });

  it('accepts values and credentials up to the limits, and no more', () => {
    for (const value of ['x'.repeat(VALUE_BYTES_MAX), '😀'.repeat(VALUE_BYTES_MAX / 4)]) {
      assert.equal(parse(withCredential({ name: 'a', value })).credentials.length, 1);
    }
    const data = Buffer.alloc(VALUE_BYTES_MAX).toString('base64');
    assert.equal(parse(withCredential({ name: 'a', data })).credentials.length, 1);
    const many = Array.from({ length: EXPORT_CREDENTIALS_MAX }, (_, index) => ({ name: `n${index}`, value: 'x' }));
    assert.equal(parse({ ...GOOD, credentials: many }).credentials.length, EXPORT_CREDENTIALS_MAX);
    const more = [...many, { name: 'one-more', value: 'x' }];
    assert.match(refusalOf({ ...GOOD, credentials: more }), /^credentials: there are more than 1000$/);
    assert.throws(() => parseExport(' '.repeat(EXPORT_BYTES_MAX + 1)), /larger than/);
  });
});
