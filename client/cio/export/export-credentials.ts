import { CredentialError } from '../../../src/errors.ts';
import { EXPORT_BYTES_MAX, formatExport } from '../../../src/export-format.ts';
import { membershipOf } from '../../../src/sets.ts';
import type { AgeLock } from '../age/age.ts';
import { CommandError } from '../command-error.ts';
import type { Session } from '../session.ts';
import { readCredentials } from './read-credentials.ts';
import type { Selection } from './read-credentials.ts';

/** An encrypted export, and a summary of its content. */
export interface EncryptedExport {
  readonly file: Uint8Array;
  readonly credentials: number;
  readonly sets: readonly string[];
}

/**
 * Reads credentials and encrypts them. In between, they are only in the memory of this process.
 *
 * @throws CredentialError, CommandError
 */
export async function exportCredentials(
  session: Session,
  selection: Selection,
  lock: AgeLock,
  armor: boolean,
): Promise<EncryptedExport> {
  const { credentials, storeId } = await session.withClient(async (client) => {
    const status = await client.call('Status', {});
    const read = await readCredentials(client, selection);
    if (read.length === 0) throw new CommandError('NoValue', 'there is nothing to export');
    return { credentials: read, storeId: status.storeId ?? undefined };
  });
  using _progress = session.progress('Encrypting');
  const text = formatExport({ created: Date.now(), ...(storeId !== undefined && { storeId }), credentials });
  const plain = Buffer.from(text);
  try {
    if (plain.length > EXPORT_BYTES_MAX) throw new CredentialError('TooLarge', { limit: EXPORT_BYTES_MAX });
    const { encryptAge } = await import('../age/age.ts');
    const file = await encryptAge(plain, lock, armor);
    const sets = new Set(credentials.flatMap(({ name }) => membershipOf(name)?.set ?? []));
    return { file, credentials: credentials.length, sets: [...sets].toSorted() };
  } finally {
    plain.fill(0);
  }
}
