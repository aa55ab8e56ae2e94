const PORT = /:\d+$/;
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/** Longest host name in the DNS, in characters (RFC 1035, section 2.3.4). */
export const HOST_LENGTH_MAX = 253;

/**
 * Suffixes of names for private use, which no public name server resolves: RFC 6761, RFC 6762 with its appendix G,
 * RFC 8375, and services in Kubernetes.
 */
const PRIVATE_SUFFIX = /\.(?:localhost|test|local|home\.arpa|internal|intranet|private|corp|home|lan|svc)$/;

/** Returns a host in lower case without its port, the brackets of an IPv6 address, and the trailing dot of a name. */
export function bareHost(host: string): string {
  return host
    .replace(PORT, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
}

/**
 * Tells whether a host, with or without a port, is reached across a public network: it is not this machine, no private,
 * shared or link-local address (RFC 1122, 1918, 3927, 4193, 4291, 6598), and no name of a private network.
 */
export function isPublicHost(host: string): boolean {
  const bare = bareHost(host);
  if (bare.includes(':')) return isPublicIpv6(bare);
  if (IPV4.test(bare)) return isPublicIpv4(bare);
  return bare.includes('.') && !PRIVATE_SUFFIX.test(bare);
}

function isPublicIpv4(address: string): boolean {
  const [a = 0, b = 0] = address.split('.').map(Number);
  const isPrivate = a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168);
  // 100.64.0.0/10 is shared address space (RFC 6598) of providers and overlay networks, not routed on the internet.
  const isShared = a === 100 && b >= 64 && b < 128;
  return !isPrivate && !isShared && a !== 0 && a !== 127 && !(a === 169 && b === 254);
}

function isPublicIpv6(address: string): boolean {
  const mapped = /^(?:0{0,4}:){1,5}:?ffff:([\d.]+)$/.exec(address)?.[1];
  if (mapped !== undefined) return isPublicIpv4(mapped);
  const groups = address.split(':');
  const isLoopback =
    Number.parseInt(`0${groups.at(-1)}`, 16) <= 1 && groups.slice(0, -1).every((group) => /^0*$/.test(group));
  const first = Number.parseInt(groups[0] ?? '', 16);
  const isUniqueLocal = (first & 0xfe00) === 0xfc00;
  const isLinkLocal = (first & 0xffc0) === 0xfe80;
  return !isLoopback && !isUniqueLocal && !isLinkLocal;
}
