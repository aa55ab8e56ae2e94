import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ImportError } from '../../../src/import/import-error.ts';
import { parseSetFile } from '../../../src/import/set-file.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { withinCpuTime } from '../../support/cpu-time.ts';

/** Limit of the CPU time for each hostile text, in ms. The slowest takes 1 to 2 s on an idle machine. */
const CPU_MS_MAX = 20_000;

function parse(
  text: string,
  provider?: string,
  profile?: string,
): readonly [string | undefined, string | undefined, object] {
  const { set, provider: found, values } = parseSetFile(text, { provider: PROVIDERS.get(provider ?? ''), profile });
  return [set, found?.id, Object.fromEntries(values)];
}

function refusal(text: string, provider?: string, profile?: string): string {
  try {
    parse(text, provider, profile);
  } catch (error) {
    assert.ok(error instanceof ImportError, String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: 'it was taken' });
}

const KEYS = { access_key: 'AKIA1', secret_key: 'S/+=' };

describe('parseSetFile()', () => {
  it("reads pharmer's JSON, with its trailing comma, and pharmer's object", () => {
    assert.deepEqual(parse('{\n\t"accessKeyID": "AKIA1",\n\t"secretAccessKey": "S/+=",\n}\n'), [
      undefined,
      'aws',
      KEYS,
    ]);
    const object = `apiVersion: v1\nkind: Credential\nmetadata:\n  name: aws_alt\n  creationTimestamp: null\nspec:\n  provider: aws\n  data:\n    accessKeyID: AKIA1\n    secretAccessKey: S/+=\n`;
    assert.deepEqual(parse(object), ['aws_alt', 'aws', KEYS]);
    assert.match(refusal(object.replace('Credential', 'Secret')), /line 2: its kind is not Credential/);
  });

  it('reads a section of INI, shell-like variables, and flat YAML', () => {
    const ini = '; comment\n[default]\naws_access_key_id=AKIA1\nAWS_SECRET_ACCESS_KEY = S/+=\n[other]\nfoo = bar\n';
    assert.deepEqual(parse(ini), [undefined, 'aws', KEYS]);
    assert.match(refusal(ini, undefined, 'other'), /^line 6: the key foo is not known/);
    assert.match(refusal(ini, undefined, 'none'), /there are default, other$/);
    const dotenv = `set -a\nexport AWS_ACCESS_KEY_ID="AKIA1" # mine\r\nAWS_SECRET_ACCESS_KEY=S/+=\nRESTIC_PASSWORD='it'\\''s\n"two" lines'\n`;
    assert.deepEqual(parse(`\ufeff${dotenv}`), [undefined, 'aws', { ...KEYS, backup_password: 'it\'s\n"two" lines' }]);
    assert.deepEqual(parse('access_key: AKIA1\nsecret_key: "S/+="\nuse_iam: No\n', 'minio'), [
      undefined,
      'minio',
      { ...KEYS, use_iam: 'false' },
    ]);
  });

  it("knows the keys of Rancher, Portworx, restic and OpenStack, and this program's names", () => {
    assert.deepEqual(
      parse(
        '{"accessKey":"A","secretKey":"S","defaultRegion":"r","defaultEndpoint":"m:9000","defaultFolder":"f","defaultSkipSSLVerify":"true"}',
      ),
      [
        undefined,
        's3',
        { access_key: 'A', secret_key: 'S', region: 'r', endpoint: 'm:9000', prefix: 'f', skip_verify: 'true' },
      ],
    );
    const portworx =
      's3-access-key: A\ns3-secret-key: S\ns3-endpoint: a:1,b:2\ns3-disable-ssl: true\ndisable-path-style: true\nname: px\n';
    assert.deepEqual(parse(portworx, 'minio'), [
      'px',
      'minio',
      { access_key: 'A', secret_key: 'S', endpoint: 'http://a:1,http://b:2', path_style: 'false' },
    ]);
    assert.deepEqual(parse('cio_alt_aws_access_key=A\ncio_aws_alt_restic_password=P\n'), [
      'aws_alt',
      'aws',
      { access_key: 'A', backup_password: 'P' },
    ]);
    assert.deepEqual(parse('account: acct\nkey: QUJD\n')[1], 'azure');
    assert.equal(parse('RESTIC_REPOSITORY=s3:https://m.example.org/b\nAWS_ACCESS_KEY_ID=A\n')[1], 's3');
  });

  it('names an unknown key with its line and the likely intended key, and reports other mistakes', () => {
    assert.match(
      refusal('AWS_ACCES_KEY_ID=canary12\n'),
      /^line 1: the key AWS_ACCES_KEY_ID is not known; is AWS_ACCESS_KEY_ID meant\?$/,
    );
    assert.match(
      refusal('access_key: canary12\naccount_key: canary13\n', 'aws'),
      /^line 2: the key account_key is not known for aws/,
    );
    assert.match(refusal('access_key:\n'), /^line 1: the key access_key has no value$/);
    assert.match(refusal("\nRESTIC_PASSWORD='  '\n"), /^line 2: the key RESTIC_PASSWORD has no value$/);
    assert.match(refusal('{"access_key":"a",\n"access_key":"b"}'), /^line 2: the key access_key occurs twice$/);
    assert.match(refusal('AWS_REGION=a\nAWS_DEFAULT_REGION=b\n'), /^line 2: .* and that of line 1 are the same field/);
    assert.match(refusal('provider: nfs\naccess_key: a\n'), /^line 1: the provider nfs is not known; there are aws, /);
    assert.match(
      refusal('provider: azure\naccount: a\n', 'aws'),
      /^line 1: it is a credential for azure, not for aws$/,
    );
  });

  it('refuses what a shell or YAML would interpret', () => {
    for (const value of [
      '$(pass aws)',
      '`pass`',
      '"$HOME"',
      'a\\b',
      "a'b'",
      'a; export B=c',
      'a$1b',
      '"a$1b"',
      'a$?',
      'a$[1+1]',
      '"a$\\\nHOME"',
      '~/a',
      'a:~',
      '"a$[1+1]"',
      '"a\\\\$@"',
      'a AWS_REGION=r',
    ]) {
      assert.match(refusal(`RESTIC_PASSWORD=${value}\n`), /single quotes|not closed/, value);
    }
    for (const row of ['RESTIC_PASSWORD=a AWS_REGION=r', 'RESTIC_PASSWORD=two words']) {
      assert.match(refusal(`export ${row}\n`), /^line 1: .*single quotes/, row);
    }
    assert.match(refusal('access_key: &x a\nsecret_key: *x\n'), /line 1: anchors/);
    assert.match(refusal('access_key: !!binary a\n'), /line 1: tags/);
    assert.match(refusal('<<: {}\n'), /line 1: merge keys/);
    assert.match(refusal('__proto__: a\n'), /line 1: the key __proto__ is not known/);
    assert.match(refusal('access_key: a\n---\naccess_key: b\n'), /second document/);
    assert.match(refusal('access_key: a\0b'), /line 1: it has a NUL/);
    assert.match(refusal(`access_key: ${'a'.repeat(1024 * 1024)}`), /larger than 1048576 bytes/);
  });

  it("accepts systemd's comments and unquoted words, and what a shell leaves unchanged", () => {
    for (const [value, taken] of [
      ['two words', 'two words'],
      ['a=b $ c%', 'a=b $ c%'],
      ['"a\\$1 $ $\\"b"', 'a$1 $ $"b'],
      ['a\u00a0', 'a\u00a0'],
      ['~a:b~/c', '~a:b~/c'],
      ['"a\\\\\nb"', 'a\\\nb'],
      ['a \t', 'a'],
    ] as const) {
      assert.deepEqual(parse(`; a comment=\nRESTIC_PASSWORD=${value}\n ;\n`)[2], { backup_password: taken });
    }
  });

  it("keeps a Google service account's JSON unchanged, and refuses an incomplete one", () => {
    const account = {
      type: 'service_account',
      project_id: 'p-1',
      private_key: '-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n',
      client_email: 'a@p-1.iam.gserviceaccount.com',
    };
    const text = JSON.stringify(account, undefined, 2);
    assert.deepEqual(parse(`${text}\n`), [undefined, 'google', { service_account: text, project_id: 'p-1' }]);
    assert.match(
      refusal(JSON.stringify({ ...account, private_key: 'canary12' })),
      /service account, it has no private_key/,
    );
  });

  it('never names the second line of a secret as a key, though it ends in =', () => {
    const message = refusal('AWS_ACCESS_KEY_ID=a\ndGVzdENhbmFyeVNlY3JldEtleQ==\n');
    assert.equal(message, 'line 2: a key is not known');
  });

  it('handles every hostile text in bounded time', () => {
    const hostile = [
      '['.repeat(1e6),
      '{"a":'.repeat(2e5),
      '{'.padEnd(1e6, ','),
      '- '.repeat(5e5),
      '\t- %\n'.repeat(2e5),
      '"a" '.repeat(2.5e5),
      `a: "${'\\q'.repeat(5e5)}"`,
      `a: "${'\\u'.repeat(5e5)}"`,
      `a: ${'&a '.repeat(3e5)}`,
      `a: [${'*a,'.repeat(3e5)}]`,
      Array.from({ length: 1e5 }, (_, line) => `key${line}: v`).join('\n'),
      Array.from({ length: 1e5 }, (_, line) => `key${line}=v`).join('\n'),
      `[default]\n${Array.from({ length: 1e5 }, (_, line) => `key${line} = v`).join('\n')}`,
      `A=${' '.repeat(1e6)}x`,
      `${' '.repeat(1e6)}x`,
      `A=''${"''".repeat(4e5)}x`,
      `A="${'\\\\'.repeat(5e5)}`,
      `export ${'A '.repeat(5e5)}=`,
      `a${' '.repeat(1e6)}`,
      `[a${' '.repeat(1e6)}`,
      '\n'.repeat(1e6),
    ];
    for (const text of hostile) {
      withinCpuTime(CPU_MS_MAX, () => void refusal(text.slice(0, 1024 * 1024)));
    }
  });

  it('throws nothing but ImportError, and repeats no value', () => {
    const canary = fc.string({
      minLength: 12,
      maxLength: 24,
      unit: fc.constantFrom(...'aB3dE6gH9jK2mN5pQ8'.split('')),
    });
    const shapes = fc.constantFrom(
      (value: string) => `{"accessKeyID":"${value}","secretAccessKey":"${value}x"}`,
      (value: string) => `access_key: ${value}\nsecret_key: |\n  ${value}\n  x\n`,
      (value: string) => `[default]\naws_access_key_id = ${value}\naws_secret_access_key = ${value}\n`,
      (value: string) => `export AWS_ACCESS_KEY_ID='${value}'\nRESTIC_PASSWORD="${value}"\n`,
    );
    const junk = fc.string({
      unit: fc.constantFrom(...'{}[]:,\'"=#&*!|>%@`\\\n\t -$<a1\0\u2028'.split('')),
      maxLength: 3,
    });
    const mutation = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), drop: fc.nat(3), junk });
    fc.assert(
      fc.property(canary, shapes, fc.array(mutation, { maxLength: 4 }), (value, shape, mutations) => {
        let text = shape(value);
        for (const { at, drop, junk } of mutations) {
          // Not within the value: a part of it at the beginning of a line would be a key, and keys are repeated.
          const rows = text.split('\n');
          const row = Math.min(rows.length - 1, Math.floor(at * rows.length));
          const where = Math.floor(at * 7919) % Math.max(1, rows[row]?.indexOf(value) ?? 1);
          rows[row] = `${rows[row]?.slice(0, where)}${junk}${rows[row]?.slice(where + drop)}`;
          text = rows.join('\n');
        }
        try {
          parseSetFile(text, { provider: undefined, profile: undefined });
        } catch (error) {
          assert.ok(error instanceof ImportError, String(error));
          assert.ok(!error.message.includes(value), error.message);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('reads back any value in single quotes, in JSON, or in double quotes', () => {
    const value = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => text.trim() !== '' && !/[\0\r\ufeff]/.test(text));
    fc.assert(
      fc.property(value, (text) => {
        const single = `RESTIC_PASSWORD='${text.replaceAll("'", "'\\''")}'\n`;
        const double = `RESTIC_PASSWORD="${text.replaceAll(/["\\$`]/g, '\\$&')}"\n`;
        for (const file of [single, double, JSON.stringify({ resticPassword: text })]) {
          assert.deepEqual(parse(file)[2], { backup_password: text });
        }
      }),
    );
  });
});
