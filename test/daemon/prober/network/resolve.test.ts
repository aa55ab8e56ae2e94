import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Endpoint } from '../../../../daemon/prober/network/endpoint.ts';
import { isLookingUp, isRefused, resolveAddresses, systemLookup } from '../../../../daemon/prober/network/resolve.ts';
import { lookupOf } from '../stub-server.ts';

const ENDPOINT: Endpoint = {
  host: 'host.test',
  port: 443,
  isTls: true,
  isVerified: true,
  isLinkLocalAllowed: false,
  field: 'backup_repo',
};

describe('isRefused()', () => {
  const refused = [
    '169.254.169.254',
    '169.254.0.1',
    '169.254.255.255',
    '100.100.100.200',
    '192.0.0.192',
    '168.63.129.16',
    'fe80::1',
    'fe80::1%eth0',
    'febf:ffff::1',
    'fd00:ec2::254',
    'FD00:EC2:0:0:0:0:0:254',
    'fd20:ce::254',
    'fd00:ec2::23',
    'fd00:c1::a9fe:a9fe',
    'fd00:42::42',
    'fd00:a9fe:a9fe::1',
    'fd00:100::100:200',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::169.254.169.254',
    '64:ff9b::6464:64c8',
    '::100.100.100.200',
    '64:ff9b:1::a9fe:a9fe',
    '64:ff9b:1:abcd::a9fe:a9fe',
    '64:ff9b:1:ab00:12:3456:a9fe:a9fe',
    // The other prefix lengths (RFC 6052, section 2.2): 48, 56 and 64 bits.
    '64:ff9b:1:a9fe:a9:fe00::',
    '64:FF9B:0001:a9fe:00a9:fe12:3456:789a',
    '64:ff9b:1:6464:64:c800::',
    '64:ff9b:1:aba9:fe:a9fe::',
    '64:ff9b:1:abcd:a9:fea9:fe00::',
    '0064:ff9b:0:0:0:0:a9fe:a9fe',
    '::ffff:0:169.254.169.254',
    '::ffff:0:a9fe:a9fe',
    '2002:a9fe:a9fe::',
    '2002:a9fe:a9fe::1',
  ];
  for (const address of refused) it(`refuses ${address}`, () => assert.equal(isRefused(address), true));

  const taken = [
    '127.0.0.1',
    '10.0.0.1',
    '192.168.1.100',
    '169.253.255.255',
    '169.255.0.0',
    '100.100.100.201',
    '::1',
    'fec0::1',
    'fd00:ec2::253',
    'fd00:42::43',
    'fd00:c1::a9fe:a9fd',
    '2a05:d018::1',
    '64:ff9b::5db8:d822',
    '64:ff9b:1::5db8:d822',
    '64:ff9b:1:5db8:d8:2200::',
    '64:ff9b:2:a9fe:a9:fe00::',
    // Bits 64 to 71 are not zero: no address is embedded.
    '64:ff9b:1:a9fe:1a9:fe00::',
    '::ffff:0:5db8:d822',
    '2002:5db8:d822::1',
    // The prefixes count only at the start.
    '2a05:2002:a9fe:a9fe::1',
    '2a05:64:ff9b:1:a9fe:a9:fe00:0',
    '2a05:64:ff9b:1:aba9:fe:a9fe:0',
    '2a05:64:ff9b:1:abcd:a9:fea9:fe00',
  ];
  for (const address of taken) it(`accepts ${address}`, () => assert.equal(isRefused(address), false));
});

describe('resolveAddresses()', () => {
  it('refuses a name if one of its addresses is refused, and reports that address', async () => {
    const lookup = lookupOf('93.184.216.34', '169.254.169.254');
    await assert.rejects(resolveAddresses(ENDPOINT, lookup), {
      reason: 'address_refused',
      detail: { field: 'backup_repo', subject: '169.254.169.254' },
    });
  });

  it('accepts such an address if the set allows it', async () => {
    const addresses = await resolveAddresses({ ...ENDPOINT, isLinkLocalAllowed: true }, lookupOf('169.254.169.254'));
    assert.deepEqual(addresses, [{ address: '169.254.169.254', family: 4 }]);
  });

  it('refuses a refused address in every notation that the system accepts', async () => {
    for (const host of ['169.254.169.254', '0xa9.0xfe.0xa9.0xfe', '2852039166', '0251.0376.0251.0376', 'fe80::1']) {
      await assert.rejects(resolveAddresses({ ...ENDPOINT, host }, systemLookup), { reason: 'address_refused' }, host);
    }
  });

  it('distinguishes a name that does not exist from a name server that does not answer', async () => {
    // Longer than a label of a name may be: no name server is asked.
    const host = `${'a'.repeat(64)}.test`;
    await assert.rejects(resolveAddresses({ ...ENDPOINT, host }, systemLookup), {
      reason: 'name_not_found',
      detail: { field: 'backup_repo', subject: host },
    });
    const busy = async (): Promise<never> => {
      throw Object.assign(new Error(), { code: 'EAI_AGAIN' });
    };
    await assert.rejects(resolveAddresses(ENDPOINT, busy), { reason: 'name_server_failed' });
    const bare = async (): Promise<never> => {
      throw Object.assign(new Error(), { code: 'ENODATA' });
    };
    await assert.rejects(resolveAddresses(ENDPOINT, bare), { reason: 'name_not_found' });
    await assert.rejects(resolveAddresses(ENDPOINT, lookupOf()), { reason: 'name_not_found' });
  });

  it('returns no more than four addresses', async () => {
    const many = Array.from({ length: 100 }, (_, index) => `10.0.0.${index}`);
    assert.equal((await resolveAddresses(ENDPOINT, lookupOf(...many))).length, 4);
  });

  it('returns addresses of both families, in turn and each in its order, however many one has', async () => {
    const addressesOf = async (...found: string[]): Promise<string[]> =>
      (await resolveAddresses(ENDPOINT, lookupOf(...found))).map(({ address }) => address);
    const many = ['100::1', '100::2', '100::3', '100::4', '100::5'];
    assert.deepEqual(await addressesOf(...many, '192.0.2.1'), ['100::1', '192.0.2.1', '100::2', '100::3']);
    assert.deepEqual(await addressesOf('192.0.2.1', '192.0.2.2', '100::1'), ['192.0.2.1', '100::1', '192.0.2.2']);
  });
});

describe('isLookingUp()', () => {
  it('is true during look-ups, even concurrent or failing ones, and false afterwards', async () => {
    for (const host of ['127.0.0.1', `${'a'.repeat(64)}.test`, '::1']) {
      assert.equal(isLookingUp(), false);
      const both = [systemLookup(host), systemLookup(host)];
      assert.equal(isLookingUp(), true);
      await Promise.allSettled(both);
    }
    assert.equal(isLookingUp(), false);
  });
});
