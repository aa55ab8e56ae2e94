import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { CredentialError } from '../../src/errors.ts';
import { isCredentialError } from '../../src/errors.ts';
import { canonicalName, isUuid, parseName } from '../../src/names.ts';
import { anyText } from './any-text.ts';
import { withinCpuTime } from '../support/cpu-time.ts';

const UUID = '0191e1f0-7c3a-7000-8000-00000000000a';

/** Storidge's sixteen names, each with all other spellings in its documentation. */
const SPELLINGS = {
  cio_aws_backup_repo: ['cio_aws_restic_repo'],
  cio_aws_access_key: [],
  cio_aws_secret_key: [],
  cio_aws_backup_password: ['cio_aws_restic_password'],
  cio_minio_backup_repo: ['cio_minio_restic_repo'],
  cio_minio_access_key: [],
  cio_minio_secret_key: [],
  cio_minio_backup_password: ['cio_minio_restic_password'],
  cio_aws_alt_backup_repo: ['cio_alt_aws_backup_repo', 'cio_aws_alt_restic_repo', 'cio_alt_aws_restic_repo'],
  cio_aws_alt_access_key: ['cio_alt_aws_access_key'],
  cio_aws_alt_secret_key: ['cio_alt_aws_secret_key'],
  cio_aws_alt_backup_password: [
    'cio_alt_aws_backup_password',
    'cio_aws_alt_restic_password',
    'cio_alt_aws_restic_password',
  ],
  cio_minio_alt_backup_repo: ['cio_alt_minio_backup_repo', 'cio_minio_alt_restic_repo', 'cio_alt_minio_restic_repo'],
  cio_minio_alt_access_key: ['cio_alt_minio_access_key'],
  cio_minio_alt_secret_key: ['cio_alt_minio_secret_key'],
  cio_minio_alt_backup_password: [
    'cio_alt_minio_backup_password',
    'cio_minio_alt_restic_password',
    'cio_alt_minio_restic_password',
  ],
} as const;

const anyName = fc.stringMatching(/^(cio_)?(alt_)?(aws_|minio_)?[a-z0-9][a-z0-9_.-]{0,20}(_restic_(repo|password))?$/);

function refusal(text: string): CredentialError<'InvalidName'> {
  try {
    parseName(text);
  } catch (error) {
    if (isCredentialError(error, 'InvalidName')) return error;
    throw error;
  }
  return assert.fail('it is refused');
}

describe('parseName()', () => {
  for (const [name, spellings] of Object.entries(SPELLINGS)) {
    it(`keeps ${name}`, () => assert.equal(parseName(name), name));
    for (const spelling of spellings) {
      it(`reads ${spelling} as ${name}`, () => assert.equal(parseName(spelling), name));
    }
  }

  for (const name of ['a', '0', 'a.b', 'a-b', 'a_', 'a..', 'db-password', 'cio_', `a${UUID}`, 'a'.repeat(128)]) {
    it(`accepts ${name.slice(0, 40)}`, () => assert.equal(parseName(name), name));
  }

  const refused: readonly (readonly [what: string, text: string, name: string, reason: string])[] = [
    ['an empty name', '', '', 'it is empty'],
    [
      'a name with a line end',
      'cio_aws_access_key\n',
      'cio_aws_access_key',
      'character 19 is not one of a-z, 0-9 and _ . -',
    ],
    ['a name with a carriage return', 'a\r', 'a', 'character 2 is not one of a-z, 0-9 and _ . -'],
    ['a name in upper case', 'CIO_AWS', '', 'character 1 is not one of a-z and 0-9'],
    ['a name with a capital', 'cio_Aws', 'cio_', 'character 5 is not one of a-z, 0-9 and _ . -'],
    ['a name that starts with a dot', '.a', '', 'character 1 is not one of a-z and 0-9'],
    ['a name that starts with _', '_a', '', 'character 1 is not one of a-z and 0-9'],
    ['a name that is an option', '--help', '', 'character 1 is not one of a-z and 0-9'],
    ['a path', 'a/../b', 'a', 'character 2 is not one of a-z, 0-9 and _ . -'],
    ['a name with a NUL', 'a\0', 'a', 'character 2 is not one of a-z, 0-9 and _ . -'],
    ['a letter that is not ASCII', 'caf\u00e9', 'caf', 'character 4 is not one of a-z, 0-9 and _ . -'],
    ['a digit that is not ASCII', '\u0661', '', 'character 1 is not one of a-z and 0-9'],
    ['a letter that becomes ASCII in lower case', 'a\u212a', 'a', 'character 2 is not one of a-z, 0-9 and _ . -'],
    ['a UUID', UUID, UUID.slice(0, 32), 'it has the form of a UUID'],
    ['a name of 129 characters', 'a'.repeat(129), 'a'.repeat(32), 'it is longer than 128 characters'],
  ];
  for (const [what, text, name, reason] of refused) {
    it(`refuses ${what}`, () => assert.deepEqual(refusal(text).fields, { name, reason }));
  }

  it('repeats at most 32 characters of a refused name, and only valid ones', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          anyName.map((name) => `${name} ${name}`),
        ),
        (text) => {
          try {
            parseName(text);
          } catch (error) {
            assert.ok(isCredentialError(error, 'InvalidName'));
            assert.match(error.fields.name, /^[a-z0-9_.-]{0,32}$/);
            assert.ok(text.startsWith(error.fields.name));
            assert.match(error.fields.reason, /^(it is|it has|character \d+ is) [a-zA-Z0-9 ,_.-]+$/);
          }
        },
      ),
    );
  });

  it('takes time in proportion to the length of the text', () => {
    withinCpuTime(5000, () => {
      for (const unit of ['a', '_', 'cio_', '_restic_', '0-']) refusal(`${unit.repeat(1_000_000)}!`);
    });
  });
});

describe('canonicalName()', () => {
  it('keeps a canonical name, and the length of any name', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const canonical = canonicalName(name);
        assert.equal(canonicalName(canonical), canonical);
        assert.equal(canonical.length, name.length);
      }),
    );
  });

  it("rewrites `restic` in any set's name, at the end only", () => {
    assert.equal(canonicalName('cio_offsite_restic_repo'), 'cio_offsite_backup_repo');
    assert.equal(canonicalName('cio_offsite_restic_repo_restic_password'), 'cio_offsite_restic_repo_backup_password');
    for (const name of [
      'cio_restic_repo',
      'restic_repo',
      'cio__restic_repo',
      'aws_restic_repo',
      'cio_aws_restic_repo_2',
      'cio_aws_restic_key',
      'x.cio_aws_restic_repo',
    ]) {
      assert.equal(canonicalName(name), name);
    }
  });

  it("keeps sets named alt, or alt_ followed by something other than Storidge's sets", () => {
    for (const name of [
      'cio_alt_backup_repo',
      'cio_alt_access_key',
      'cio_alt_backup_password',
      'cio_alt_offsite_access_key',
      'cio_alt_aws',
      'cio_alt_awsome_access_key',
      'alt_aws_access_key',
      'x.cio_alt_aws_restic_x',
    ]) {
      assert.equal(canonicalName(name), name);
    }
  });
});

describe('isUuid()', () => {
  it('accepts both cases and every version', () => {
    for (const text of [UUID, UUID.toUpperCase(), 'ffffffff-ffff-ffff-ffff-ffffffffffff']) assert.ok(isUuid(text));
  });

  it('refuses anything but exactly a UUID', () => {
    for (const text of ['', `${UUID}\n`, ` ${UUID}`, `{${UUID}}`, UUID.replaceAll('-', ''), UUID.replace('a', 'g')]) {
      assert.ok(!isUuid(text));
    }
  });
});
