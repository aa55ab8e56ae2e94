import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseServer } from '../../../src/providers/server.ts';

describe('parseServer()', () => {
  const servers: readonly (readonly [text: string, endpoint: string])[] = [
    ['minio', 'https://minio'],
    ['minio:9000', 'https://minio:9000'],
    ['http://MINIO:9000', 'http://minio:9000'],
    ['https://[::1]:9000', 'https://[::1]:9000'],
    ['10.0.0.1', 'https://10.0.0.1'],
  ];
  for (const [text, endpoint] of servers) {
    it(`reads ${text}`, () => {
      const server = parseServer(text);
      assert.ok(!('reason' in server));
      assert.deepEqual([server.endpoint, server.isTls], [endpoint, !text.startsWith('http:')]);
    });
  }

  for (const text of [
    '',
    'https://',
    'host/',
    'https://host/path',
    'a b',
    'user@host',
    'host:0',
    'host:70000',
    'host?x',
    '//host',
    'ftp://host',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.ok('reason' in parseServer(text)));
  }
});
