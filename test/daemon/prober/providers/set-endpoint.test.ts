import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ProbeFailure } from '../../../../daemon/prober/failure.ts';
import { tlsEndpointOf, hostHeaderOf, requiredValue } from '../../../../daemon/prober/providers/set-endpoint.ts';

function failureOf(run: () => unknown): readonly (string | undefined)[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ProbeFailure) return [error.reason, error.detail.field];
    throw error;
  }
  return [];
}

describe('tlsEndpointOf()', () => {
  it('returns the server, its TLS settings and the proxy', () => {
    const plain = {
      host: 'host',
      port: 443,
      isTls: true,
      isVerified: true,
      isLinkLocalAllowed: false,
      field: 'endpoint',
    };
    assert.deepEqual(tlsEndpointOf('https://host/path', {}, 'endpoint'), plain);
    const values = { endpoint_ca: 'PEM', skip_verify: 'true', allow_link_local: 'true', use_iam: 'false', proxy: '' };
    assert.deepEqual(tlsEndpointOf('https://[::1]:8443', values, 'endpoint'), {
      host: '::1',
      port: 8443,
      isTls: true,
      authorities: 'PEM',
      isVerified: false,
      isLinkLocalAllowed: true,
      field: 'endpoint',
    });
    const { proxy } = tlsEndpointOf('https://host', { ...values, proxy: 'http://proxy:3128/' }, 'endpoint');
    const own = { host: 'proxy', port: 3128, isTls: false, authorities: 'PEM', field: 'proxy' };
    assert.deepEqual(proxy, { ...own, isVerified: false, isLinkLocalAllowed: true });
    assert.equal(tlsEndpointOf('https://host', { proxy: 'https://proxy' }, 'endpoint').proxy?.port, 443);
  });

  it('accepts only "true" for a switch', () => {
    for (const text of ['TRUE', '1', 'yes', ' true']) {
      const endpoint = tlsEndpointOf('https://host', { skip_verify: text, allow_link_local: text }, 'endpoint');
      assert.deepEqual([endpoint.isVerified, endpoint.isLinkLocalAllowed], [true, false]);
    }
  });

  it('refuses a URL that is not https, and an invalid proxy', () => {
    for (const url of ['', 'host', 'http://host', 'https://', 'https://a b', 'ftp://host']) {
      assert.deepEqual(
        failureOf(() => tlsEndpointOf(url, {}, 'endpoint')),
        ['invalid_value', 'endpoint'],
        url,
      );
    }
    for (const proxy of ['true', 'ftp://proxy', 'http://', 'http://user:word@proxy', 'http://proxy/path']) {
      assert.deepEqual(
        failureOf(() => tlsEndpointOf('https://host', { proxy }, 'endpoint')),
        ['invalid_value', 'proxy'],
        proxy,
      );
    }
  });
});

describe('hostHeaderOf()', () => {
  it('omits the default port', () => {
    const host = (url: string): string => hostHeaderOf(tlsEndpointOf(url, {}, 'endpoint'));
    assert.equal(host('https://host'), 'host');
    assert.equal(host('https://host:8443'), 'host:8443');
    assert.equal(host('https://[::1]'), '[::1]');
    assert.equal(host('https://[::1]:4443'), '[::1]:4443');
  });
});

describe('requiredValue()', () => {
  it('throws with the missing field', () => {
    assert.equal(requiredValue({ account_key: 'x' }, 'account_key'), 'x');
    assert.deepEqual(
      failureOf(() => requiredValue({}, 'account_key')),
      ['missing_field', 'account_key'],
    );
    assert.deepEqual(
      failureOf(() => requiredValue({ account_key: '' }, 'account_key')),
      ['missing_field', 'account_key'],
    );
  });
});
