import { CredentialError } from '../../src/errors.ts';
import type { TimeSlice } from '../time-slice.ts';
import type { CredentialPage } from '../vault/reader.ts';
import type { Vault } from '../vault/vault.ts';

const PAGE = 250;

/**
 * Yields every credential of every space, a page at a time, and lets other work run in between.
 *
 * @param slice of the task that this is part of
 * @throws CredentialError `Busy` if the data key was changed, or a copy restored, meanwhile: the records, or their
 *   order, are then different
 */
export async function* everyCredential(
  vault: Vault,
  slice: TimeSlice,
): AsyncGenerator<CredentialPage, void, undefined> {
  const { sealing } = vault.unlocked();
  let after: Uint8Array | undefined;
  do {
    await slice.pause();
    if (vault.unlocked().sealing !== sealing) throw new CredentialError('Busy', {});
    const page: CredentialPage = vault.read((reader) => reader.credentials(after, PAGE));
    yield page;
    after = page.next;
  } while (after !== undefined);
}
