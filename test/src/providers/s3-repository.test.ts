import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { S3Repository } from '../../../src/providers/s3-repository.ts';
import { isAmazon, parseS3Repository } from '../../../src/providers/s3-repository.ts';
import { anyText } from '../any-text.ts';
import { withinCpuTime } from '../../support/cpu-time.ts';

function parse(text: string): S3Repository {
  const repository = parseS3Repository(text);
  return 'reason' in repository ? assert.fail(`${text} is refused: ${repository.reason}`) : repository;
}

function reasonOf(text: string): string {
  const repository = parseS3Repository(text);
  return 'reason' in repository ? repository.reason : assert.fail(`${text} is taken`);
}

describe('parseS3Repository()', () => {
  it('reads the form in the documentation', () => {
    assert.deepEqual(parse('s3:https://s3.amazonaws.com/backup-123'), {
      endpoint: 'https://s3.amazonaws.com',
      host: 's3.amazonaws.com',
      isTls: true,
      bucket: 'backup-123',
      prefix: '',
    });
    assert.deepEqual(parse('s3:http://192.168.1.100:9001/cio-backup-bucket'), {
      endpoint: 'http://192.168.1.100:9001',
      host: '192.168.1.100:9001',
      isTls: false,
      bucket: 'cio-backup-bucket',
      prefix: '',
    });
  });

  // The results of restic's ParseConfig for the same texts.
  const read: readonly (readonly [text: string, endpoint: string, bucket: string, prefix: string])[] = [
    ['s3:https://host/bucket/', 'https://host', 'bucket', ''],
    ['s3:https://host/bucket/a/b', 'https://host', 'bucket', 'a/b'],
    ['s3:https://host/bucket/a//b///', 'https://host', 'bucket', 'a/b'],
    ['s3:https://HOST.Example/Bucket/A', 'https://host.example', 'Bucket', 'A'],
    ['s3:https://host./bucket', 'https://host.', 'bucket', ''],
    ['s3:https://host:65535/bucket', 'https://host:65535', 'bucket', ''],
    ['s3:http://minio_1:9000/bucket', 'http://minio_1:9000', 'bucket', ''],
    ['s3:http://[::1]:9000/bucket', 'http://[::1]:9000', 'bucket', ''],
    ['s3://host/bucket/a', 'https://host', 'bucket', 'a'],
    ['s3:host:9000/bucket/a', 'https://host:9000', 'bucket', 'a'],
    ['s3:eu-central-1/bucket', 'https://eu-central-1', 'bucket', ''],
    ['s3://httpbin.example/bucket', 'https://httpbin.example', 'bucket', ''],
    ['s3:https://bucket.s3.amazonaws.com/x', 'https://bucket.s3.amazonaws.com', 'x', ''],
    ['s3:https://host/bucket/a%20b%2Fc', 'https://host', 'bucket', 'a b/c'],
    ['s3:host/bucket/a%20b', 'https://host', 'bucket', 'a%20b'],
    ['s3:https://host/bucket/a@b:c+d', 'https://host', 'bucket', 'a@b:c+d'],
    ['s3:https://host/b\u00fccket', 'https://host', 'b\u00fccket', ''],
  ];
  for (const [text, endpoint, bucket, prefix] of read) {
    it(`reads ${text}`, () => {
      const repository = parse(text);
      assert.deepEqual([repository.endpoint, repository.bucket, repository.prefix], [endpoint, bucket, prefix]);
      assert.equal(repository.endpoint, `http${repository.isTls ? 's' : ''}://${repository.host}`);
    });
  }

  const refused: Readonly<Record<string, readonly string[]>> = {
    'it does not start with s3:': [
      '',
      's3',
      'S3:https://host/bucket',
      '/srv/repo',
      'https://host/bucket',
      ' s3:host/bucket',
    ],
    'it has spaces or control characters': [
      's3:https://host/bucket\n',
      's3:https://host/bucket\r\n',
      's3:https://host/a b',
      's3:https://host/bucket\0',
      's3:https://host/bucket\u0085',
      's3:https://host/bucket\u00a0',
      's3:https://host/bucket\u202e',
      's3:https://host/bucket\u200b',
      's3:https://host/bucket\ud800',
    ],
    'it has a query or a fragment, which restic would ignore': [
      's3:https://host/bucket?versionId=1',
      's3:https://host?x/bucket',
      's3:https://host/bucket#a',
    ],
    'it has a user or a key in it; store those as credentials of their own': [
      's3:https://key:secret@host/bucket',
      's3:https://@host/bucket',
      's3:user@host/bucket',
    ],
    'it has no valid host': [
      's3:',
      's3:/',
      's3:/bucket',
      's3:///bucket',
      's3:https://',
      's3:https:///bucket',
      's3:https:/host/bucket',
      's3:https:host/bucket',
      's3:HTTPS://host/bucket',
      's3:httpx://host/bucket',
      's3:ftp://host/bucket',
      's3://https://host/bucket',
      's3:http/bucket',
      's3://https/bucket',
      's3://HTTP/bucket',
      's3:httpbin.example/bucket',
      's3:https://host:/bucket',
      's3:https://host:0/bucket',
      's3:https://host:65536/bucket',
      's3:https://host:9000:9000/bucket',
      's3:https://host:9a/bucket',
      's3:https://-host/bucket',
      's3:https://host-/bucket',
      's3:https://a..b/bucket',
      's3:https://.host/bucket',
      's3:https://::1/bucket',
      's3:https://[::1/bucket',
      's3:https://[host]/bucket',
      's3:https://ho%73t/bucket',
      's3:https://h\u00f6st/bucket',
      's3:https://host\\bucket/a',
    ],
    'it has no bucket': [
      's3:https://host',
      's3:https://host/',
      's3:https://host//',
      's3:https://host//bucket',
      's3:host',
      's3:https://host/%2Fbucket',
    ],
    'it has two slashes after its bucket': [
      's3:https://host/bucket//a',
      's3:https://host/bucket//',
      's3:https://host/bucket/%2Fa',
    ],
    'it has . or .. in its path': [
      's3:https://host/..',
      's3:https://host/./bucket',
      's3:https://host/bucket/../other',
      's3:https://host/bucket/.',
      's3:https://host/bucket/%2e%2E/other',
    ],
    'it has an invalid percent sign in its path': [
      's3:https://host/bucket/100%',
      's3:https://host/bucket/%zz',
      's3:https://host/bucket/%ff',
      's3:https://host/bucket/%00',
      's3:https://host/bucket/%0A',
    ],
  };
  for (const [reason, texts] of Object.entries(refused)) {
    for (const text of texts) {
      it(`refuses ${JSON.stringify(text)}`, () => assert.equal(reasonOf(text), reason));
    }
  }

  it('reads back a repository composed of its parts', () => {
    const host = fc.tuple(fc.domain(), fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }));
    const part = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);
    fc.assert(
      fc.property(
        fc.constantFrom('s3:https://', 's3:http://', 's3://'),
        host,
        fc.array(part, { minLength: 1 }),
        (head, [name, port], path) => {
          const authority = port === undefined ? name : `${name}:${port}`;
          const repository = parse(`${head}${authority}/${path.join('/')}`);
          assert.equal(repository.host, authority.toLowerCase());
          assert.equal(repository.isTls, head !== 's3:http://');
          assert.deepEqual([repository.bucket, repository.prefix], [path[0], path.slice(1).join('/')]);
          assert.equal(new URL(repository.endpoint).pathname, '/');
        },
      ),
    );
  });

  it('reads or refuses any text, with one of a few reasons', () => {
    const reasons = Object.keys(refused);
    const almost = fc.oneof(
      anyText,
      fc
        .array(fc.constantFrom('s3:', 'https', ':', '//', '/', 'host', '.', '..', '%', '2e', '@', '[', ']', '9'), {
          maxLength: 12,
        })
        .map((parts) => `s3:${parts.join('')}`),
    );
    fc.assert(
      fc.property(almost, (text) => {
        const repository = parseS3Repository(text);
        if ('reason' in repository) assert.ok(reasons.includes(repository.reason));
        else assert.ok(repository.bucket !== '' && repository.host !== '');
      }),
    );
  });

  it('takes time in proportion to the length of the text', () => {
    withinCpuTime(5000, () => {
      for (const unit of ['a', 'a.', 'a-', '/', '%20', ':9', '_']) {
        parseS3Repository(`s3:https://${unit.repeat(300_000)}!`);
        parseS3Repository(`s3:https://host/bucket/${unit.repeat(300_000)}`);
      }
    });
  });
});

describe('isAmazon()', () => {
  for (const host of [
    's3.amazonaws.com',
    'S3.Amazonaws.com:443',
    's3.eu-central-1.amazonaws.com',
    's3.cn-north-1.amazonaws.com.cn',
  ]) {
    it(`is true for ${host}`, () => assert.ok(isAmazon(parse(`s3:https://${host}/bucket`))));
  }

  for (const host of [
    'minio:9000',
    'myamazonaws.com',
    's3.amazonaws.com.example',
    's3.amazonaws.community',
    '[::1]:443',
  ]) {
    it(`is false for ${host}`, () => assert.ok(!isAmazon(parse(`s3:https://${host}/bucket`))));
  }
});
