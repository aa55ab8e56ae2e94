import { isCredentialError } from '../../src/errors.ts';
import type { CredentialClient } from '../client.ts';
import { abbreviate } from './abbreviate.ts';
import { RewordedError, usageError } from './command-error.ts';

/** A set, which this command cannot take as a whole, is told apart from a name that is not there. */
export async function tellOfSet(
  client: CredentialClient,
  error: unknown,
  hintOf: (set: string, member: string | undefined) => string,
): Promise<never> {
  if (!isCredentialError(error, 'NotFound') || error.fields.name.startsWith('cio_')) throw error;
  const { name } = error.fields;
  const { sets, credentials } = await client.call('List', { patterns: [name] });
  // Beside a credential of that name, which is meant, it is something of the credential that is not there.
  if (credentials.some((credential) => credential.name === name) || !sets.some(({ set }) => set === name)) throw error;
  throw usageError(`${name} is a set`, hintOf(name, credentials.find(({ set }) => set === name)?.name));
}

/** A credential, which is no set, is told apart from a name that is not there. */
export async function tellOfCredential(client: CredentialClient, error: unknown, owner: number | null): Promise<never> {
  if (!isCredentialError(error, 'NotFound')) throw error;
  const { name } = error.fields;
  const { credentials } = await client.call('List', { patterns: [name], owner });
  const credential = credentials.find((one) => one.name === name);
  if (credential === undefined) throw error;
  throw new RewordedError(error, {
    message: `${abbreviate(name)} is a single credential, and no set`,
    hint: credential.set ? `its set is ${credential.set}` : 'cio credential get prints it as it is',
  });
}
