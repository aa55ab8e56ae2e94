import { CredentialError } from '../../src/errors.ts';
import type { Caller } from '../access/caller.ts';
import type { Gone } from '../gone.ts';
import type { VaultReader } from '../vault/reader.ts';
import type { Vault } from '../vault/vault.ts';

/** Bytes of values that are opened at once: a millisecond of work. */
export const AT_ONCE_BYTES_MAX: number = 64 * 1024;

/**
 * Reads values: few bytes at once, and more when it is the call's turn, one call in each turn of the event loop, of
 * one user after the other. Hundreds
 * of peers who ask for the largest value together would otherwise be answered in one go, while everybody else waits.
 * Nothing is read for who has left meanwhile.
 *
 * @param read returns undefined where it would have to open more than `bytesMax`; it may be called twice, as what there is
 *   may have changed meanwhile
 * @throws what `read` throws; CredentialError `Busy` to who has left
 */
export function readInTurn<T extends object>(
  vault: Vault,
  { uid }: Pick<Caller, 'uid'>,
  gone: Gone,
  read: (reader: VaultReader, bytesMax: number) => T | undefined,
): T | Promise<T> {
  return vault.read((reader) => read(reader, AT_ONCE_BYTES_MAX)) ?? readLater(vault, uid, gone, read);
}

async function readLater<T extends object>(
  vault: Vault,
  uid: number,
  gone: Gone,
  read: (reader: VaultReader, bytesMax: number) => T | undefined,
): Promise<T> {
  let hasLeft = false;
  const forget = gone(() => {
    hasLeft = true;
  });
  await vault.turns.next(uid);
  forget();
  if (hasLeft) throw new CredentialError('Busy', {});
  const answer = vault.read((reader) => read(reader, Number.POSITIVE_INFINITY));
  if (answer === undefined) throw new TypeError('any number of bytes is more than none');
  return answer;
}
