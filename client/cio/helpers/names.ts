import { createHash } from 'node:crypto';

/** Maximum length of a name without its kind, in characters. It leaves room for a kind of at most ten. */
const PLAIN_LENGTH_MAX = 100;
const HASH_LENGTH = 32;

const PLAIN = /^[a-z0-9_.-]+$/;
const ENDS_LIKE_A_HASH = /\.[0-9a-f]{32}$/;

/**
 * Returns the name of the credential for an address: `docker.registry.example.org`. Two addresses never get the same
 * name: for an address that is not valid as a name, a hash (128 bits of SHA-256) follows its readable part.
 */
export function nameOfAddress(kind: 'docker' | 'git', address: string): string {
  const readable = address.replace(/^https?:\/\//, '');
  // The address itself is unambiguous as a name if no scheme was removed and it does not end like a hashed name.
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
