import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { createSecureContext } from 'node:tls';

import type { Endpoint } from '../../../../daemon/prober/network/endpoint.ts';
import { tlsOptionsOf } from '../../../../daemon/prober/network/handshake.ts';

const ENDPOINT: Endpoint = { host: 'host.test', port: 443, isTls: true, isVerified: true, isLinkLocalAllowed: false };

describe('tlsOptionsOf()', () => {
  it('trusts the authorities of this host if the set has none', () => {
    const { ca } = tlsOptionsOf(ENDPOINT);
    assert.doesNotThrow(() => createSecureContext({ ca }));
    const [first = ''] =
      [ca ?? []]
        .flat()
        .join('\n')
        .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/) ?? [];
    assert.equal(new X509Certificate(first).ca, true);
  });

  it('verifies the host name and sends it as SNI, but verifies an address without SNI', () => {
    assert.deepEqual([tlsOptionsOf(ENDPOINT).host, tlsOptionsOf(ENDPOINT).servername], ['host.test', 'host.test']);
    const dotted = tlsOptionsOf({ ...ENDPOINT, host: 'host.test.' });
    assert.deepEqual([dotted.host, dotted.servername], ['host.test', 'host.test']);
    const address = tlsOptionsOf({ ...ENDPOINT, host: '::1' });
    assert.deepEqual([address.host, address.servername], ['::1', undefined]);
  });

  it('verifies unless told not to', () => {
    assert.equal(tlsOptionsOf(ENDPOINT).rejectUnauthorized, true);
    assert.equal(tlsOptionsOf({ ...ENDPOINT, isVerified: false }).rejectUnauthorized, false);
  });
});
