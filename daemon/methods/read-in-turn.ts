import type { VaultReader } from '../vault/reader.ts';
import type { Vault } from '../vault/vault.ts';

/** Bytes of values that are opened at once: a millisecond of work. */
export const AT_ONCE_BYTES_MAX: number = 64 * 1024;

/**
 * Reads values: few bytes at once, and more when it is the call's turn, one call in each turn of the event loop. Hundreds
 * of peers who ask for the largest value together would otherwise be answered in one go, while everybody else waits.
 *
 * @param read returns undefined where it would have to open more than `bytesMax`; it may be called twice, as what there is
 *   may have changed meanwhile
 * @throws what `read` throws
 */
export function readInTurn<T extends object>(
  vault: Vault,
  read: (reader: VaultReader, bytesMax: number) => T | undefined,
): T | Promise<T> {
  return vault.read((reader) => read(reader, AT_ONCE_BYTES_MAX)) ?? readLater(vault, read);
}

async function readLater<T extends object>(
  vault: Vault,
  read: (reader: VaultReader, bytesMax: number) => T | undefined,
): Promise<T> {
  await vault.turns.next();
  const answer = vault.read((reader) => read(reader, Number.POSITIVE_INFINITY));
  if (answer === undefined) throw new TypeError('any number of bytes is more than none');
  return answer;
}
