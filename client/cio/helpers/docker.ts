import { EXIT, isCredentialError } from '../../../src/errors.ts';
import type { CredentialClient } from '../../client.ts';
import { encodeText } from '../../value.ts';
import { explain } from '../messages.ts';
import type { Session } from '../session.ts';
import { decodeAndWipe } from '../decode-text.ts';
import { printable } from '../text.ts';
import { bytesOf } from '../value-output.ts';
import { packageVersion } from '../version.ts';
import { nameOfAddress } from './names.ts';
import { readInput } from './read-input.ts';

/** The texts by which docker recognizes these errors, word for word (`docker-credential-helpers/credentials`). */
const NOT_FOUND = 'credentials not found in native keychain';
const NO_SERVER_URL = 'no credentials server URL';
const NO_USERNAME = 'no credentials username';

const PROGRAM = 'docker-credential-cio';
const USAGE = `Usage: ${PROGRAM} <store|get|erase|list|version>`;

/** An error whose message is printed as it is: docker reads it from standard output. */
class Refusal extends Error {}

/** A credential as docker stores and reads it. */
interface DockerCredential {
  readonly ServerURL: string;
  readonly Username: string;
  readonly Secret: string;
}

/** Runs one command of docker's protocol for credential helpers, and returns the exit code. */
export async function runDockerHelper(words: readonly string[], session: Session): Promise<number> {
  const [verb = ''] = words;
  try {
    if (words.length !== 1) throw new Refusal(USAGE);
    const answer = await runVerb(verb, session);
    session.printRaw(answer);
    return EXIT.done;
  } catch (error) {
    session.printRaw(`${error instanceof Refusal ? error.message : printable(explain(error).message)}\n`);
    return EXIT.failed;
  }
}

async function runVerb(verb: string, session: Session): Promise<string> {
  switch (verb) {
    case 'store':
      return session.withClient((client) => store(client, parseCredential(readInput())));
    case 'get':
      return session.withClient((client) => get(client, requireServer(readInput().trim())));
    case 'erase':
      return session.withClient((client) => erase(client, requireServer(readInput().trim())));
    case 'list':
      return session.withClient(list);
    case 'version':
    case '--version':
    case '-v':
      return `${PROGRAM} (cio-credentiald) ${packageVersion()}\n`;
    case 'help':
    case '--help':
    case '-h':
      return `${USAGE}\n`;
    default:
      throw new Refusal(`${PROGRAM}: unknown action\n${USAGE}`);
  }
}

async function store(client: CredentialClient, credential: DockerCredential): Promise<string> {
  const name = nameOfAddress('docker', credential.ServerURL);
  const credentials = [{ name, ...encodeText(JSON.stringify(credential)) }];
  await client.call('Create', { credentials, replace: true });
  return '';
}

async function get(client: CredentialClient, server: string): Promise<string> {
  const { ServerURL, Username, Secret } = await read(client, nameOfAddress('docker', server));
  return `${JSON.stringify({ ServerURL, Username, Secret })}\n`;
}

async function erase(client: CredentialClient, server: string): Promise<string> {
  try {
    await client.call('Remove', { names: [nameOfAddress('docker', server)] });
  } catch (error) {
    throw isCredentialError(error, 'NotFound') ? new Refusal(NOT_FOUND) : error;
  }
  return '';
}

/** Lists user names by server. A credential that was removed meanwhile, or was not stored by docker, is skipped. */
async function list(client: CredentialClient): Promise<string> {
  const users = new Map<string, string>();
  for await (const { credentials } of client.stream('List', { patterns: ['docker.*'] })) {
    for (const { name } of credentials) {
      const credential = await read(client, name).catch((error: unknown) => {
        if (error instanceof Refusal) return undefined;
        throw error;
      });
      if (credential !== undefined) users.set(credential.ServerURL, credential.Username);
    }
  }
  return `${JSON.stringify(Object.fromEntries(users))}\n`;
}

async function read(client: CredentialClient, name: string): Promise<DockerCredential> {
  try {
    return parseCredential(decodeAndWipe(bytesOf(await client.call('Get', { name }), client.socket)) ?? '');
  } catch (error) {
    throw isCredentialError(error, 'NotFound') ? new Refusal(NOT_FOUND) : error;
  }
}

function requireServer(server: string): string {
  if (server === '') throw new Refusal(NO_SERVER_URL);
  return server;
}

function parseCredential(text: string): DockerCredential {
  const { ServerURL, Username, Secret } = parseObject(text);
  if (typeof ServerURL !== 'string' || ServerURL.trim() === '') throw new Refusal(NO_SERVER_URL);
  if (typeof Username !== 'string' || Username.trim() === '') throw new Refusal(NO_USERNAME);
  return { ServerURL: ServerURL.trim(), Username, Secret: typeof Secret === 'string' ? Secret : '' };
}

/** Parses a JSON object. V8's own error message is not passed on: it quotes the text, which holds a secret. */
function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below.
  }
  throw new Refusal('this is not a docker credential');
}
