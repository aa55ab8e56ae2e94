import { CredentialError, isCredentialError } from '../../../src/errors.ts';
import { EXPORT_CREDENTIALS_MAX } from '../../../src/export-format.ts';
import type { ExportedCredential } from '../../../src/export-format.ts';
import type { Credential } from '../../../src/protocol/interface.generated.ts';
import { canonicalSetName } from '../../../src/sets.ts';
import type { CredentialClient } from '../../client.ts';
import { encodeValue } from '../../value.ts';
import { CommandError } from '../command-error.ts';
import { bytesOf } from '../value-output.ts';

/** Attempts at a consistent reading, before the export fails because the credentials keep changing. */
const ATTEMPTS = 5;

/** Calls in flight at a time. */
const CALLS_AHEAD = 50;

/** The credentials to export. */
export interface Selection {
  /** Names, sets, UUIDs and patterns. If both this and `sets` are empty, everything is exported. */
  readonly targets: readonly string[];
  readonly sets: readonly string[];
  readonly owner: number | null;
}

/**
 * Reads the credentials of one owner as of one moment: it lists them before and after it reads the values, and if the
 * lists differ, starts again. The value of a version never changes, and version numbers are never reused.
 *
 * @throws CredentialError `NotFound` if a named one does not exist; CommandError if the credentials keep changing
 */
export async function readCredentials(client: CredentialClient, selection: Selection): Promise<ExportedCredential[]> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const before = await listSelected(client, selection);
    if (before.length > EXPORT_CREDENTIALS_MAX)
      throw new CredentialError('TooLarge', { limit: EXPORT_CREDENTIALS_MAX });
    const credentials = await readValues(client, before);
    if (credentials !== undefined && isSame(before, await listSelected(client, selection))) return credentials;
  }
  throw new CommandError(
    'ReadFailed',
    'the credentials keep changing',
    'repeat the command a little later, or name the sets that you want',
  );
}

async function listSelected(client: CredentialClient, { targets, sets, owner }: Selection): Promise<Credential[]> {
  const found = new Map<string, Credential>();
  const isEverything = targets.length === 0 && sets.length === 0;
  if (isEverything) for (const one of await list(client, undefined, owner)) found.set(one.name, one);
  for (const target of targets) {
    for (const one of await listNamed(client, target, owner, () => true)) found.set(one.name, one);
  }
  for (const given of sets) {
    const set = canonicalSetName(given);
    for (const one of await listNamed(client, given, owner, (credential) => credential.set === set)) {
      found.set(one.name, one);
    }
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function listNamed(
  client: CredentialClient,
  target: string,
  owner: number | null,
  isMeant: (credential: Credential) => boolean,
): Promise<Credential[]> {
  const found = (await list(client, target, owner)).filter(isMeant);
  if (found.length === 0) throw new CredentialError('NotFound', { name: target });
  return found;
}

/** Lists the credentials that the caller may change. Those that others only granted to the caller are left out. */
async function list(
  client: CredentialClient,
  pattern: string | undefined,
  owner: number | null,
): Promise<Credential[]> {
  const found: Credential[] = [];
  let isDamaged = false;
  for await (const reply of client.stream('List', { owner, ...(pattern !== undefined && { patterns: [pattern] }) })) {
    found.push(...reply.credentials.filter(({ writable }) => writable));
    isDamaged = reply.damaged > 0;
  }
  if (isDamaged) throw new CredentialError('Damaged', {});
  return found;
}

/** Reads the values of the listed credentials. Returns undefined if one of them no longer exists. */
async function readValues(
  client: CredentialClient,
  list: readonly Credential[],
): Promise<ExportedCredential[] | undefined> {
  const read: ExportedCredential[] = [];
  try {
    for (let from = 0; from < list.length; from += CALLS_AHEAD) {
      const some = list.slice(from, from + CALLS_AHEAD);
      read.push(...(await Promise.all(some.map((credential) => readValue(client, credential)))));
    }
    return read;
  } catch (error) {
    if (isCredentialError(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function readValue(client: CredentialClient, { name, version, owner }: Credential): Promise<ExportedCredential> {
  const reply = await client.call('Get', { name, version, owner });
  return { name, ...encodeValue(bytesOf(reply, client.socket)) };
}

function isSame(before: readonly Credential[], after: readonly Credential[]): boolean {
  return (
    before.length === after.length &&
    before.every((one, index) => {
      const other = after[index];
      return one.name === other?.name && one.version === other.version && one.generation === other.generation;
    })
  );
}
