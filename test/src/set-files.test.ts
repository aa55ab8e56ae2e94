import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  SET_FORMS,
  formatAwsFile,
  formatEnvironmentFile,
  formatJsonFile,
  parseSetFileName,
} from '../../src/set-files.ts';
import { run } from '../support/process.ts';

describe('parseSetFileName()', () => {
  it('reads set and form, for each form', () => {
    for (const form of SET_FORMS) assert.deepEqual(parseSetFileName(`aws_alt.${form}`), { set: 'aws_alt', form });
    assert.deepEqual(parseSetFileName('a.b.env'), { set: 'a.b', form: 'env' });
    assert.deepEqual(parseSetFileName('aws.aws'), { set: 'aws', form: 'aws' });
  });

  it('returns undefined for other names', () => {
    for (const text of ['', 'aws', '.env', 'env', 'aws.yaml', 'aws.ENV', 'aws.env.bak', 'awsenv']) {
      assert.equal(parseSetFileName(text), undefined, text);
    }
  });
});

describe('formatEnvironmentFile()', () => {
  it('returns a file that sh reads back to the same values', async () => {
    const anyValue = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((value) => !value.includes('\0'));
    const values = fc.sample(anyValue, { numRuns: 200, seed: 1 });
    values.push('a"b', "a'b", '$HOME', '`id`', '$(id)', 'a\\b', 'a\\', ' a ', 'a\nb', '!x', '~', '#', '*');
    const variables = new Map(values.map((value, index) => [`V${index}`, value]));
    const file = formatEnvironmentFile({ set: variables, unset: [] });
    const print = [...variables.keys()].map((name) => `printf '%s\\0' "$${name}"`).join('\n');
    const { stdout, stderr } = await run(['sh', '-c', `${file}\n${print}`]);
    assert.equal(stderr, '');
    assert.deepEqual(stdout.toString().split('\0').slice(0, -1), values);
  });
});

describe('formatJsonFile()', () => {
  it('returns the values by field, on one line', () => {
    const text = formatJsonFile(new Map([['access_key', 'a"\n']]));
    assert.equal(text, '{"access_key":"a\\"\\n"}\n');
  });
});

describe('formatAwsFile()', () => {
  const keys = { access_key: 'AK', secret_key: 's/+=' };

  it('returns a profile of what the set has', () => {
    assert.equal(
      formatAwsFile(new Map(Object.entries({ ...keys, session_token: 't', region: 'eu-central-1', backup_repo: 'x' }))),
      '[default]\naws_access_key_id = AK\naws_secret_access_key = s/+=\naws_session_token = t\nregion = eu-central-1\n',
    );
  });

  it('returns undefined without both keys, or if a key would be read differently', () => {
    assert.equal(formatAwsFile(new Map([['access_key', 'AK']])), undefined);
    assert.equal(formatAwsFile(new Map([['secret_key', 's']])), undefined);
    for (const bad of ['', 'a b', 'a\nb', 'a\tb', 'é', 'a\0']) {
      assert.equal(
        formatAwsFile(new Map(Object.entries({ ...keys, secret_key: bad }))),
        undefined,
        JSON.stringify(bad),
      );
    }
  });
});
