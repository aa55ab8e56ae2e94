import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatSet, readSetChanges, type EditedSet } from '../../../../client/cio/edit/set-document.ts';
import { ImportError } from '../../../../src/import/import-error.ts';
import { PROVIDERS } from '../../../../src/providers/registry.ts';

function setOf(values: Readonly<Record<string, string>>): EditedSet {
  return { set: 'aws', provider: PROVIDERS.get('aws'), values: new Map(Object.entries(values)), binary: [] };
}

describe('formatSet() and readSetChanges()', () => {
  it('round-trip any text', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.string({
        unit: fc.constantFrom(...'\n\r\t \\"\':#-|>!&*%@`{}[],?~=0a\u0085\u00a0\u2028\ufeff'.split('')),
        minLength: 1,
      }),
      fc.constantFrom(
        'null',
        '~',
        'true',
        '0x10',
        '1e3',
        '<<',
        '---',
        '...',
        '- a',
        '\n',
        ' ',
        'a\n',
        '\na',
        'a\n\n',
        ' a\nb',
        'a\u00a0',
        'a\u3000\n',
        '#',
      ),
    );
    fc.assert(
      fc.property(value, (text) => {
        const edited = setOf({ backup_password: text, access_key: 'AK' });
        assert.deepEqual(readSetChanges(formatSet(edited, ['a remark\nof two lines']), edited), new Map());
      }),
      { numRuns: 500 },
    );
  });

  it('return changed and added fields', () => {
    const edited = setOf({ access_key: 'AK', region: 'r1' });
    const text = formatSet(edited, []).replace('region: r1', 'region: r2').replace('#bucket:', 'bucket: b1');
    assert.deepEqual(
      readSetChanges(text, edited),
      new Map([
        ['region', 'r2'],
        ['bucket', 'b1'],
      ]),
    );
  });

  it('throw nothing but ImportError for any edit', () => {
    const edited = setOf({ access_key: 'AK', region: 'r1' });
    const text = formatSet(edited, []);
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(20), fc.string(), (at, drop, typed) => {
        try {
          readSetChanges(text.slice(0, at) + typed + text.slice(at + drop), edited);
        } catch (error) {
          assert.ok(error instanceof ImportError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('show remarks, help for every field, and fields that are not text or that no provider knows', () => {
    const edited = { ...setOf({ access_key: 'AK', mine: 'x' }), binary: ['endpoint_ca'] };
    const text = formatSet(edited, ['not stored\nfor a reason', 'another']);
    const [head, ...fields] = text.split('\n\n');
    assert.deepEqual(head?.split('\n'), [
      '# not stored',
      '# for a reason',
      '# another',
      '# Set aws (Amazon S3). Make your changes, save, and exit the editor.',
      '# To leave everything as it is, change nothing. Lines that begin with # are comments.',
    ]);
    assert.equal(fields[0], '# Repository (required), as in s3:https://s3.amazonaws.com/backup-123\n#backup_repo:');
    assert.ok(fields.includes('# Access key (required)\naccess_key: AK'));
    assert.ok(fields.includes('# Repository password (required, secret)\n#backup_password:'));
    assert.ok(
      fields.includes('# Certificate authority (PEM) (optional)\n# endpoint_ca is not text, and stays as it is.'),
    );
    assert.equal(fields.at(-1), '# mine\nmine: x\n');
    const unknown = formatSet(
      { set: 'aws', provider: undefined, values: new Map([['secret_key', 'SK']]), binary: [] },
      [],
    );
    assert.match(unknown, /^# Set aws\. Make/);
    assert.deepEqual(unknown.split('\n\n').slice(1), [
      '# Provider (optional), as in s3\n#provider:',
      '# Secret key (required, secret)\nsecret_key: SK\n',
    ]);
  });

  it('report what is wrong, and on which line', () => {
    const edited = { ...setOf({ access_key: 'AK', region: 'r1' }), binary: ['endpoint_ca'] };
    const gone = 'restore it here, and remove it with: cio credential remove cio_aws_region';
    for (const [text, line, reason] of [
      ['access_key: AK\n', undefined, `the line of region is missing; ${gone}`],
      ['access_key: AK\nregoin: r1\n', 2, 'the key regoin is not a field of the set; did you mean region?'],
      ['access_key: AK\nzzzzzz: r1\n', 2, 'the key zzzzzz is not a field of the set'],
      ['region: r1\nendpoint_ca: x\n', 2, 'the key endpoint_ca is not a field of the set; did you mean endpoint?'],
      ['region:\n  a: b\n', 1, 'the value of region is not text'],
      ['region: [a, b]\n', 1, 'the value of region is not text'],
      ['region:\n', 1, `region has no value; ${gone}`],
      ['region: " "\n', 1, `region has no value; ${gone}`],
      ['backup_repo: sftp:x\n', 1, /^the value of backup_repo is not valid: it does not start with s3:/],
      ['- a\n- b\n', 1, 'it is not FIELD: VALUE'],
      ['', undefined, 'the line of access_key is missing; ' + gone.replace('region', 'access_key')],
      [' \t\n# region: r1\n', undefined, 'the line of access_key is missing; ' + gone.replace('region', 'access_key')],
    ] as const) {
      assert.throws(() => readSetChanges(text, edited), { name: 'ImportError', line, reason }, text);
    }
    assert.deepEqual(readSetChanges('# nothing\n\n', setOf({})), new Map());
    // An unchanged value is not validated, and white space in it is not taken for an empty value.
    const odd = setOf({ backup_repo: 'sftp:x', region: ' ', bucket: 'null' });
    assert.deepEqual(readSetChanges('backup_repo: sftp:x\nregion: " "\nbucket: "null"\n', odd), new Map());
    assert.throws(() => readSetChanges('backup_repo: sftp:x\nregion: " "\nbucket: null\n', odd), /bucket has no value/);
  });
});
