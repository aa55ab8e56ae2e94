import { CredentialError, EXIT, isCredentialError } from '../../../src/errors.ts';
import type { CredentialClient } from '../../client.ts';
import { encodeText } from '../../value.ts';
import { usageError } from '../command-error.ts';
import type { Session } from '../session.ts';
import { decodeAndWipe } from '../decode-text.ts';
import { bytesOf } from '../value-output.ts';
import { nameOfAddress } from './names.ts';
import { readInput } from './read-input.ts';

/** The attributes of an account besides its address, in the order in which `get` prints them (git-credential(1)). */
const ACCOUNT_KEYS = ['username', 'password', 'password_expiry_utc', 'oauth_refresh_token'] as const;

type Account = { readonly [Key in (typeof ACCOUNT_KEYS)[number]]?: string };

/** All accounts of an address, the one stored last first. */
interface Stored {
  readonly accounts: readonly Account[];
  /** The generation of the credential that holds them; undefined if there is none. */
  readonly generation: number | undefined;
}

/** How often a change is tried in all, if other changes get in between. */
const ATTEMPTS_MAX = 5;

/** The errors that mean that another change got in between. */
const RACES = ['Conflict', 'AlreadyExists', 'NotFound'] as const;

/**
 * Runs one operation of git's protocol for credential helpers, and returns the exit code. Unknown operations are
 * ignored, as git requires.
 */
export async function runGitHelper(words: readonly string[], session: Session): Promise<number> {
  const [verb] = words;
  if (verb === undefined || words.length > 1) throw usageError('it takes one of get, store and erase');
  if (verb !== 'get' && verb !== 'store' && verb !== 'erase') return EXIT.done;
  const said = parseAttributes(readInput());
  const name = nameOf(said);
  if (name === undefined) return EXIT.done;
  await session.withClient(async (client) => {
    if (verb === 'get') session.printRaw(await get(client, name, said));
    else
      await change(client, name, (accounts) =>
        verb === 'store' ? withAccount(accounts, said) : without(accounts, said),
      );
  });
  return EXIT.done;
}

/** Parses lines `key=value` up to an empty line. The last value of a repeated key counts; unknown keys do no harm. */
function parseAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') break;
    const equals = line.indexOf('=');
    if (equals > 0) attributes.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return attributes;
}

/** Returns the name of the credential for git's attributes; undefined if they do not contain an address. */
function nameOf(said: ReadonlyMap<string, string>): string | undefined {
  const [protocol, host, path] = [said.get('protocol'), said.get('host'), said.get('path')];
  if (!protocol || (host === undefined && path === undefined)) return undefined;
  return nameOfAddress('git', `${protocol}://${host ?? ''}${path ? `/${path}` : ''}`);
}

async function get(client: CredentialClient, name: string, said: ReadonlyMap<string, string>): Promise<string> {
  const { accounts } = await read(client, name);
  const username = said.get('username');
  const account = accounts.find((each) => username === undefined || each.username === username);
  if (account === undefined) return '';
  const lines = ACCOUNT_KEYS.flatMap((key) => {
    const value = account[key];
    return value === undefined ? [] : [`${key}=${value}\n`];
  });
  return lines.join('');
}

/** Changes the accounts of an address, without losing concurrent changes of other processes. */
async function change(
  client: CredentialClient,
  name: string,
  edit: (accounts: readonly Account[]) => readonly Account[],
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { accounts, generation } = await read(client, name);
    const edited = edit(accounts);
    if (edited === accounts) return;
    try {
      await write(client, name, edited, generation);
      return;
    } catch (error) {
      if (!RACES.some((code) => isCredentialError(error, code)) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function write(
  client: CredentialClient,
  name: string,
  accounts: readonly Account[],
  generation: number | undefined,
): Promise<void> {
  const unchanged = generation === undefined ? {} : { ifGeneration: generation };
  if (accounts.length === 0) {
    await client.call('Remove', { names: [name], ...unchanged });
    return;
  }
  const credentials = [{ name, ...encodeText(JSON.stringify({ accounts })) }];
  await client.call('Create', { credentials, replace: generation !== undefined, ...unchanged });
}

function withAccount(accounts: readonly Account[], said: ReadonlyMap<string, string>): readonly Account[] {
  if (!said.has('username') || !said.has('password')) return accounts;
  const account = Object.fromEntries(
    ACCOUNT_KEYS.flatMap((key) => {
      const value = said.get(key);
      return value === undefined ? [] : [[key, value] as const];
    }),
  );
  // git stores the account that `get` returned after each use that succeeded.
  if (JSON.stringify(accounts[0]) === JSON.stringify(account)) return accounts;
  return [account, ...accounts.filter(({ username }) => username !== said.get('username'))];
}

/** Removes the accounts that match. git sends the password that was refused: an account with a newer one stays. */
function without(accounts: readonly Account[], said: ReadonlyMap<string, string>): readonly Account[] {
  const kept = accounts.filter((account) =>
    (['username', 'password'] as const).some((key) => said.has(key) && said.get(key) !== account[key]),
  );
  return kept.length === accounts.length ? accounts : kept;
}

async function read(client: CredentialClient, name: string): Promise<Stored> {
  try {
    const reply = await client.call('Get', { name });
    return { accounts: parseAccounts(bytesOf(reply, client.socket), name), generation: reply.generation };
  } catch (error) {
    if (isCredentialError(error, 'NotFound')) return { accounts: [], generation: undefined };
    throw error;
  }
}

/** @throws CredentialError `InvalidValue` for what this helper did not write */
function parseAccounts(bytes: Uint8Array, name: string): readonly Account[] {
  try {
    const { accounts } = JSON.parse(decodeAndWipe(bytes) ?? '') as { readonly accounts?: unknown };
    if (Array.isArray(accounts) && accounts.every(isAccount)) return accounts;
  } catch {
    // Reported below. V8's message would quote the value.
  }
  throw new CredentialError('InvalidValue', { name, reason: 'git-credential-cio did not store it' });
}

/** Whether a value is an account that can be printed: git would take text after a line end for another attribute. */
function isAccount(value: unknown): value is Account {
  if (typeof value !== 'object' || value === null) return false;
  const account = value as Readonly<Record<string, unknown>>;
  return ACCOUNT_KEYS.every((key) => {
    const said = account[key];
    return said === undefined || (typeof said === 'string' && !/[\n\0]/.test(said));
  });
}
