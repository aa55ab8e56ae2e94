import { isCredentialError } from '../../src/errors.ts';
import type { CredentialClient } from '../client.ts';
import { abbreviate } from './abbreviate.ts';
import { RewordedError, usageError } from './command-error.ts';

/**
 * Rethrows an error, but reports `NotFound` for the name of a set as a usage error: the command does not take sets.
 *
 * @param owner whose set is meant, as in the call that failed
 * @param hintOf returns the hint, given the set and one of its credentials
 */
export async function rethrowForSet(
  client: CredentialClient,
  error: unknown,
  owner: number | null,
  hintOf: (set: string, member: string | undefined) => string,
): Promise<never> {
  if (!isCredentialError(error, 'NotFound') || error.fields.name.startsWith('cio_')) throw error;
  const { name } = error.fields;
  const { sets, credentials } = await client.call('List', { patterns: [name], owner });
  // If a credential has that name too, it is what is meant, and something of it, such as a version, was not found.
  if (credentials.some((credential) => credential.name === name) || !sets.some(({ set }) => set === name)) throw error;
  throw usageError(`${name} is a set`, hintOf(name, credentials.find(({ set }) => set === name)?.name));
}

/** Rethrows an error, but rewords `NotFound` for the name of a single credential where a set is needed. */
export async function rethrowForCredential(
  client: CredentialClient,
  error: unknown,
  owner: number | null,
): Promise<never> {
  if (!isCredentialError(error, 'NotFound')) throw error;
  const { name } = error.fields;
  const { credentials } = await client.call('List', { patterns: [name], owner });
  const credential = credentials.find((one) => one.name === name);
  if (credential === undefined) throw error;
  throw new RewordedError(error, {
    message: `${abbreviate(name)} is a single credential, not a set`,
    hint: credential.set ? `its set is ${credential.set}` : 'cio credential get prints it as it is',
  });
}
