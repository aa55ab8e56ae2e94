import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Field } from '../../../src/providers/provider.ts';
import {
  ACCESS_KEY,
  BACKUP_PASSWORD,
  BACKUP_REPO,
  PROVIDER,
  PROVIDER_IDS,
  REGION,
  S3_CONTRADICTING,
  S3_FIELDS,
  SECRET_KEY,
  SESSION_TOKEN,
} from '../../../src/providers/s3-fields.ts';

const HEADER_FIELDS: readonly Field[] = [ACCESS_KEY, SECRET_KEY, REGION, SESSION_TOKEN];

function check(field: Field, text: string): string | undefined {
  return field.check?.(text);
}

describe('BACKUP_REPO', () => {
  it('takes its own example', () => assert.equal(check(BACKUP_REPO, BACKUP_REPO.example ?? ''), undefined));

  it('says what is wrong and what it should look like', () => {
    assert.equal(check(BACKUP_REPO, 's3:https://host/'), 'it has no bucket; it looks like s3:https://HOST/BUCKET');
  });
});

describe('keys, regions and tokens', () => {
  for (const field of HEADER_FIELDS) {
    it(`${field.id} takes visible ASCII`, () => {
      assert.equal(check(field, 'wJalrXUtnFEMI/K7MDENG+bPxRfiCY=='), undefined);
      assert.equal(check(field, '!~'), undefined);
    });

    it(`${field.id} takes nothing that would end a header`, () => {
      for (const text of [
        '',
        ' ',
        'a b',
        'key\n',
        'key\r\nX-Evil: 1',
        ' key',
        '\tkey',
        'key\0',
        'caf\u00e9',
        '\u007f',
      ]) {
        assert.equal(check(field, text), 'it has spaces, line ends or characters outside ASCII', JSON.stringify(text));
      }
    });
  }
});

describe('BACKUP_PASSWORD', () => {
  it('takes any text that an environment variable can hold', () => {
    for (const text of [' pw ', 'line one\nline two\n', 'p\u00e4ss', '\u{1f511}', 'a'.repeat(1024)]) {
      assert.equal(check(BACKUP_PASSWORD, text), undefined);
    }
  });

  it('refuses a NUL', () => {
    assert.match(check(BACKUP_PASSWORD, 'pass\0word') ?? '', /^it has a NUL character/);
  });
});

describe('PROVIDER', () => {
  it('takes an id that names a provider, in its exact spelling', () => {
    for (const id of PROVIDER_IDS) assert.equal(check(PROVIDER, id), undefined);
    for (const text of ['', 'S3', 's3\n', ' s3', 'dropbox', 'constructor'])
      assert.notEqual(check(PROVIDER, text), undefined);
  });
});

describe('S3_FIELDS', () => {
  it('never repeats a value in what is wrong with it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...S3_FIELDS),
        fc.stringMatching(/^[ \n\0]canary[a-z]{8}[\n\0\u00e9]$/),
        (field, text) => {
          assert.ok(!(check(field, text) ?? '').includes('canary'));
        },
      ),
    );
  });

  it('never shows the secrets, and shows the rest', () => {
    const secrets = S3_FIELDS.filter((field) => field.isSecret).map((field) => field.id);
    assert.deepEqual(secrets, ['secret_key', 'backup_password', 'session_token']);
  });
});

describe('S3_CONTRADICTING', () => {
  it('has no variable twice, and none that every set provides', () => {
    assert.equal(new Set(S3_CONTRADICTING).size, S3_CONTRADICTING.length);
    const required = S3_FIELDS.filter((field) => field.isRequired).flatMap((field) => field.variables);
    assert.ok(!S3_CONTRADICTING.some((name) => required.includes(name)));
  });

  it('has every variable of an optional field', () => {
    for (const name of S3_FIELDS.filter((field) => !field.isRequired).flatMap((field) => field.variables)) {
      assert.ok(S3_CONTRADICTING.includes(name), name);
    }
  });
});
