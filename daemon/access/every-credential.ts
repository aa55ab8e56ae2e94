import { CredentialError } from '../../src/errors.ts';
import { TimeSlice } from '../time-slice.ts';
import type { CredentialPage } from '../vault/reader.ts';
import type { Vault } from '../vault/vault.ts';

const PAGE = 250;

/**
 * Every credential of every space, a page at a time, with turns of others in between.
 *
 * @param uid for whom; undefined for the daemon itself
 * @throws CredentialError `Busy` where the data key was changed, or a copy restored, meanwhile: the records, or their order,
 *   are others then
 */
export async function* everyCredential(
  vault: Vault,
  uid: number | undefined,
): AsyncGenerator<CredentialPage, void, undefined> {
  const { sealing } = vault.unlocked();
  const slice = new TimeSlice(vault.turns, uid);
  let after: Uint8Array | undefined;
  do {
    await slice.pause();
    if (vault.unlocked().sealing !== sealing) throw new CredentialError('Busy', {});
    const page: CredentialPage = vault.read((reader) => reader.credentials(after, PAGE));
    yield page;
    after = page.next;
  } while (after !== undefined);
}
