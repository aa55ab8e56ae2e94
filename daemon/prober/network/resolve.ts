import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';

import { detailOf, ProbeFailure } from '../failure.ts';
import { ADDRESSES_MAX } from '../limits.ts';
import type { Endpoint } from './endpoint.ts';

/** Looks up all addresses of a name. */
export type Lookup = (host: string) => Promise<readonly LookupAddress[]>;

/** Number of look-ups that run in libuv's thread pool. */
let pendingLookups = 0;

/** Tells whether a look-up is running: Node does not exit before it has ended, and it cannot be cancelled. */
export function isLookingUp(): boolean {
  return pendingLookups > 0;
}

/** Looks names up as every program of this host does: by getaddrinfo(3), /etc/hosts included. */
export const systemLookup: Lookup = async (host) => {
  pendingLookups += 1;
  try {
    return await lookup(host, { all: true, order: 'verbatim' });
  } finally {
    pendingLookups -= 1;
  }
};

/** Metadata services that are not link-local: Alibaba's, Oracle's older one, Azure's. */
const METADATA_IPV4 = ['100.100.100.200', '192.0.0.192', '168.63.129.16'];

/**
 * The same for IPv6: Amazon's, and its service that gives Kubernetes pods their identity; Google's, Oracle's,
 * Scaleway's, Akamai's, Alibaba's.
 */
const METADATA_IPV6 = [
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
  'fd00:c1::a9fe:a9fe',
  'fd00:42::42',
  'fd00:a9fe:a9fe::1',
  'fd00:100::100:200',
];

/**
 * Addresses that no server on the internet has, but with which the author of a set could make this host talk to its own
 * cloud: link-local addresses (RFC 3927, RFC 4291), and metadata services at other addresses.
 */
const REFUSED: BlockList = makeRefused();

/**
 * Where IPv6 addresses contain an IPv4 address that a translator would connect to, in 32 hex digits: after the prefix
 * of RFC 6052; after a prefix of 96, 48, 56 or 64 bits within that of RFC 8215 (RFC 6052, section 2.2: octet 8 is zero
 * and not part of the IPv4 address); and as in RFC 2765, RFC 3056 and RFC 4291.
 */
const TRANSLATED = [
  /^0064ff9b0{16}(.{4})(.{4})$/,
  /^0064ff9b0001.{12}(.{4})(.{4})$/,
  /^0064ff9b0001(.{4})00(.{4})/,
  /^0064ff9b0001..(..)00(..)(.{4})/,
  /^0064ff9b0001.{4}00(.{4})(.{4})/,
  /^0{16}ffff0000(.{4})(.{4})$/,
  /^2002(.{4})(.{4})/,
  /^0{24}(.{4})(.{4})$/,
];

/**
 * Looks up the name of a server.
 *
 * @throws ProbeFailure if there is no address, or if one of them is refused, even if there are permitted ones besides
 */
export async function resolveAddresses(endpoint: Endpoint, find: Lookup): Promise<readonly LookupAddress[]> {
  const { host } = endpoint;
  let addresses: readonly LookupAddress[];
  try {
    addresses = await find(host);
  } catch (error) {
    throw failureOf(endpoint, error);
  }
  const refused = endpoint.isLinkLocalAllowed ? undefined : addresses.find(({ address }) => isRefused(address));
  if (refused !== undefined) throw new ProbeFailure('address_refused', detailOf(endpoint.field, refused.address));
  if (addresses.length === 0) throw new ProbeFailure('name_not_found', detailOf(endpoint.field, host));
  return alternateFamilies(addresses).slice(0, ADDRESSES_MAX);
}

/**
 * Orders addresses so that the families take turns, beginning with the first address's, and each keeps its own order
 * (RFC 8305, section 4). Otherwise the addresses that are tried could all be of a family that does not work here.
 */
function alternateFamilies(addresses: readonly LookupAddress[]): LookupAddress[] {
  const turns = new Map<number, number>();
  return addresses
    .map((address) => {
      const turn = turns.get(address.family) ?? 0;
      turns.set(address.family, turn + 1);
      return { address, turn };
    })
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ address }) => address);
}

/**
 * Checks a server whose name the proxy looks up: if the server is given by an address, that must be permitted too.
 *
 * @throws ProbeFailure
 */
export function requirePermittedAddress(endpoint: Endpoint): void {
  const { host, isLinkLocalAllowed } = endpoint;
  if (isLinkLocalAllowed || isIP(host) === 0 || !isRefused(host)) return;
  throw new ProbeFailure('address_refused', detailOf(endpoint.field, host));
}

/** Tells whether an address is link-local or that of a metadata service. */
export function isRefused(address: string): boolean {
  const plain = address.split('%', 1)[0] ?? '';
  if (!isIPv6(plain)) return REFUSED.check(plain);
  const digits = digitsOf(plain);
  return REFUSED.check(plain, 'ipv6') || TRANSLATED.some((form) => isRefusedInside(form.exec(digits)));
}

/** Returns all 32 hex digits of an IPv6 address, however it is written. */
function digitsOf(address: string): string {
  const shortest = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = shortest
    .split('::')
    .map((part) => part.split(':').map((group) => group.padStart(4, '0')));
  return head.join('').padEnd(32 - tail.length * 4, '0') + tail.join('');
}

function isRefusedInside(found: RegExpExecArray | null): boolean {
  if (found === null) return false;
  const digits = found.slice(1).join('');
  return REFUSED.check(`::ffff:${digits.slice(0, 4)}:${digits.slice(4)}`, 'ipv6');
}

function failureOf(endpoint: Endpoint, error: unknown): ProbeFailure {
  const { code } = error as NodeJS.ErrnoException;
  const isUnknown = code === 'ENOTFOUND' || code === 'ENODATA';
  if (isUnknown) return new ProbeFailure('name_not_found', detailOf(endpoint.field, endpoint.host));
  return new ProbeFailure('name_server_failed', { subject: endpoint.host });
}

function makeRefused(): BlockList {
  const list = new BlockList();
  list.addSubnet('169.254.0.0', 16, 'ipv4');
  list.addSubnet('fe80::', 10, 'ipv6');
  for (const address of METADATA_IPV6) list.addAddress(address, 'ipv6');
  for (const address of METADATA_IPV4) list.addAddress(address, 'ipv4');
  return list;
}
