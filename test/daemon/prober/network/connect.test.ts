import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { describe, it } from 'node:test';

import { connectFirst } from '../../../../daemon/prober/network/connect.ts';
import type { Endpoint } from '../../../../daemon/prober/network/endpoint.ts';
import { freePort } from '../../../support/free-port.ts';

const LOOPBACK: LookupAddress = { address: '127.0.0.1', family: 4 };
/** A multicast address: the kernel refuses a connection at once (ENETUNREACH). */
const NOWHERE: LookupAddress = { address: '224.0.0.1', family: 4 };

const neverAborted = new AbortController().signal;

const endpointAt = (port: number): Endpoint => ({
  host: 'host.test',
  port,
  isTls: false,
  isVerified: true,
  isLinkLocalAllowed: true,
  field: 'endpoint',
});

describe('connectFirst()', () => {
  it('reports the most specific of several failures, and names the server', async () => {
    const port = await freePort();
    for (const [addresses, reason] of [
      [[LOOPBACK, NOWHERE], 'connection_refused'],
      [[NOWHERE, LOOPBACK], 'connection_refused'],
      [[NOWHERE, NOWHERE], 'unreachable'],
      [[], 'unreachable'],
    ] as const) {
      const detail = { field: 'endpoint', subject: `host.test:${port}` };
      await assert.rejects(connectFirst(endpointAt(port), addresses, neverAborted), { reason, detail });
    }
  });

  it('tries no other address once it is cancelled, nor after a defect', async () => {
    const reason = new Error('nobody waits');
    await assert.rejects(connectFirst(endpointAt(1), [LOOPBACK], AbortSignal.abort(reason)), reason);
    await assert.rejects(connectFirst(endpointAt(70_000), [LOOPBACK], neverAborted), RangeError);
  });
});
