import { CredentialError } from '../../src/errors.ts';
import type { Caller } from '../access/caller.ts';
import { Latch } from '../emitter.ts';
import type { Subscribe } from '../emitter.ts';
import type { VaultReader } from '../vault/reader.ts';
import type { Vault } from '../vault/vault.ts';

/** Bytes of values that are decrypted without waiting for a turn: a millisecond of work. */
export const AT_ONCE_BYTES_MAX: number = 64 * 1024;

/**
 * Reads values: a few bytes at once, and more when it is the call's turn. One call has its turn in each turn of the
 * event loop, and users take turns. Hundreds of peers that ask for the largest value together would otherwise be
 * answered in one go, while everybody else waits. Nothing is read for a caller who has left meanwhile.
 *
 * @param read returns undefined if it would have to decrypt more than `bytesMax` bytes; it may be called twice, and the
 *   store may have changed in between
 * @throws what `read` throws; CredentialError `Busy` if the caller has left
 */
export function readInTurn<T extends object>(
  vault: Vault,
  { uid }: Pick<Caller, 'uid'>,
  onGone: Subscribe,
  read: (reader: VaultReader, bytesMax: number) => T | undefined,
): T | Promise<T> {
  return vault.read((reader) => read(reader, AT_ONCE_BYTES_MAX)) ?? readLater(vault, uid, onGone, read);
}

async function readLater<T extends object>(
  vault: Vault,
  uid: number,
  onGone: Subscribe,
  read: (reader: VaultReader, bytesMax: number) => T | undefined,
): Promise<T> {
  using gone = new Latch(onGone);
  await vault.turns.next(uid);
  if (gone.isSet) throw new CredentialError('Busy', {});
  const answer = vault.read((reader) => read(reader, Number.POSITIVE_INFINITY));
  if (answer === undefined) throw new TypeError('any number of bytes is more than none');
  return answer;
}
