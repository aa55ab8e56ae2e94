import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nameOfAddress } from '../../../../client/cio/helpers/names.ts';
import { parseName } from '../../../../src/names.ts';

describe('nameOfAddress()', () => {
  it('returns a readable name', () => {
    assert.equal(nameOfAddress('docker', 'registry.example.org'), 'docker.registry.example.org');
    assert.match(
      nameOfAddress('docker', 'https://index.docker.io/v1/'),
      /^docker\.index\.docker\.io-v1-\.[0-9a-f]{32}$/,
    );
    assert.match(nameOfAddress('git', 'https://git.example.org'), /^git\.git\.example\.org\.[0-9a-f]{32}$/);
  });

  it('returns a valid canonical name for any address', () => {
    const address = fc.oneof(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }), fc.webUrl(), fc.domain());
    fc.assert(
      fc.property(address, fc.constantFrom('docker' as const, 'git' as const), (address, kind) => {
        const name = nameOfAddress(kind, address);
        assert.equal(parseName(name), name);
      }),
    );
  });

  it('returns different names for different addresses, also for an address that looks like a hashed name', () => {
    const hashed = nameOfAddress('git', 'https://git.example.org');
    const addresses = [
      'https://git.example.org',
      'http://git.example.org',
      'git.example.org',
      'Git.example.org',
      'git.example.org/',
      'git-example.org',
      'git_example.org',
      'git example.org',
      hashed.slice('git.'.length),
      'x'.repeat(200),
      `${'x'.repeat(199)}y`,
    ];
    assert.equal(new Set(addresses.map((address) => nameOfAddress('git', address))).size, addresses.length);
  });
});
