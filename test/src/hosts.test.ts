import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bareHost, isPublicHost } from '../../src/hosts.ts';

describe('bareHost()', () => {
  const hosts: readonly (readonly [host: string, bare: string])[] = [
    ['S3.Example.COM', 's3.example.com'],
    ['s3.example.com:9000', 's3.example.com'],
    ['s3.example.com.', 's3.example.com'],
    ['s3.example.com.:443', 's3.example.com'],
    ['[::1]', '::1'],
    ['[FE80::1]:9000', 'fe80::1'],
    ['10.0.0.1:9000', '10.0.0.1'],
  ];
  for (const [host, bare] of hosts) it(`reads ${host}`, () => assert.equal(bareHost(host), bare));
});

describe('isPublicHost()', () => {
  const publicHosts = [
    's3.amazonaws.com',
    'minio.example.org:9000',
    'local.example.org',
    'internal.com',
    'mylocal.de',
    'example.org.',
    'nas.local.example.org',
    '10.0.0.1.example.org',
    '8.8.8.8',
    '8.16.0.1',
    '8.64.0.1',
    '8.168.0.1',
    '8.254.0.1',
    '9.255.255.255',
    '11.0.0.0',
    '172.15.0.1',
    '172.32.0.1:9000',
    '192.167.1.1',
    '192.169.1.1',
    '169.253.1.1',
    '128.0.0.1',
    '100.63.0.1',
    '100.128.0.1',
    '[2001:db8::1]:9000',
    '[2001:db8:0:0:0:0:0:1]',
    '[::2]',
    '[fec0::1]',
    '[::ffff:8.8.8.8]',
  ];
  for (const host of publicHosts) it(`returns true for ${host}`, () => assert.equal(isPublicHost(host), true));

  const privateHosts = [
    'localhost',
    'LOCALHOST:9000',
    'minio',
    'minio:9000',
    'minio_1',
    'minio.minio.svc:9000',
    '100.64.0.1',
    '100.127.255.1:9000',
    'nas.local',
    'nas.local.:9000',
    'minio.INTERNAL',
    'nas.lan',
    's3.test',
    's3.corp',
    'x.y.home.arpa',
    'a.localhost',
    '127.0.0.1',
    '127.255.255.255:80',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255:9001',
    '192.168.1.100:9001',
    '169.254.1.1',
    '[::1]',
    '[::1]:9000',
    '[::]',
    '[0:0:0:0:0:0:0:1]',
    '[fe80::1]',
    '[febf::1]',
    '[fc00::1]',
    '[fd12:3456::1]:9000',
    '[fd13::1]',
    '[::ffff:192.168.1.1]',
    '[0:0:0:0:0:ffff:10.0.0.1]',
  ];
  for (const host of privateHosts) it(`returns false for ${host}`, () => assert.equal(isPublicHost(host), false));
});
