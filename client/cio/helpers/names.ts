import { createHash } from 'node:crypto';

/** What a name takes besides its kind, in characters; the kind has at most ten, and a hash needs some itself. */
const PLAIN_LENGTH_MAX = 100;
const HASH_LENGTH = 32;

const PLAIN = /^[a-z0-9_.-]+$/;
const ENDS_LIKE_A_HASH = /\.[0-9a-f]{32}$/;

/**
 * The name of the credential for an address: `docker.registry.example.org`. Two addresses never have the same name: what
 * a name cannot say goes into a hash, 128 bits of SHA-256, behind what of it is readable.
 */
export function nameOfAddress(kind: 'docker' | 'git', address: string): string {
  const readable = address.replace(/^https?:\/\//, '');
  // Said by nothing but itself: no scheme was left out, and nothing that a hash could have made.
  if (
    readable === address &&
    PLAIN.test(address) &&
    address.length <= PLAIN_LENGTH_MAX &&
    !ENDS_LIKE_A_HASH.test(address)
  ) {
    return `${kind}.${address}`;
  }
  const hash = createHash('sha256').update(address).digest('hex').slice(0, HASH_LENGTH);
  const start = readable
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, '-')
    .slice(0, PLAIN_LENGTH_MAX - HASH_LENGTH - 1);
  return `${kind}.${start}.${hash}`;
}
