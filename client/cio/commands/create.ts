import { CredentialError } from '../../../src/errors.ts';
import { parseName } from '../../../src/names.ts';
import type { Finding } from '../../../src/protocol/interface.generated.ts';
import type { Field } from '../../../src/providers/provider.ts';
import { FIELD_IDS, fieldOf } from '../../../src/providers/registry.ts';
import { membershipOf, providerOf } from '../../../src/sets.ts';
import type { CredentialClient } from '../../client.ts';
import { ConnectionError } from '../../connection-error.ts';
import { encodeValue } from '../../value.ts';
import { CommandError, usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';
import { isIntact } from '../raw-arguments.ts';
import type { Session } from '../session.ts';
import { readValueFromFile, readValueFromStdin } from '../value-input.ts';

/** Stores a credential. */
export const CREATE: Command = defineCommand({
  name: 'create',
  aliases: ['add'],
  operation: 'Create credential',
  summary: 'Store a credential',
  details:
    'Without VALUE, a terminal is asked for it; else it is read from standard input, as it is with - for VALUE. ' +
    'A secret is better not given as VALUE: other users of the host can see it, and the shell remembers it.',
  positionals: {
    NAME: { describe: 'Its name, as in cio_aws_access_key', count: 'optional' },
    VALUE: { describe: 'Its value; - for standard input', count: 'optional' },
  },
  options: {
    replace: { type: 'boolean', describe: 'Give a new value to a credential that exists' },
    'from-file': { type: 'string', value: 'PATH', describe: 'Read the value from a file', completes: 'file' },
    'keep-newline': { type: 'boolean', describe: 'Keep the newline at the end of a value that is read' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential create cio_aws_backup_repo s3:https://s3.amazonaws.com/backup-123', 'a value that is no secret'],
    ['cio credential create cio_aws_secret_key', 'asks for the value'],
    ['pass show aws | cio credential create cio_aws_secret_key --replace', 'a new value out of a pipe'],
  ],
  async run({ positionals, options }, session) {
    const owner = resolveOwner(options.owner);
    const name = parseName(positionals.NAME ?? (await askName(session)));
    const value = await readValue(session, name, positionals.VALUE, { ...options, owner });
    const credential = { name, ...encodeValue(value) };
    value.fill(0);
    const { reply, mistakes } = await session.withClient(async (client) => ({
      reply: await client.call('Create', { credentials: [credential], replace: options.replace, owner }),
      mistakes: await findMistakes(client, name, owner),
    }));
    session.succeed({ ...reply, mistakes }, 'Create credential', `Credential ${reply.saved[0]?.name ?? name} saved`);
    if (mistakes.length > 0 && !session.isJson) {
      const { formatMistake } = await import('../validation-report.ts');
      for (const mistake of mistakes) session.note(`Warning: ${formatMistake(mistake)}`);
    }
    if (name.startsWith('cio_') && membershipOf(name) === undefined) {
      session.note(`Note: ${name} is part of no set, since it ends in no known field (${FIELD_IDS.join(', ')}).`);
    }
    return 0;
  },
});

/** What is wrong with the set now, by its values alone; that a part is still missing is no mistake. */
async function findMistakes(client: CredentialClient, name: string, owner: number | null): Promise<readonly Finding[]> {
  if (membershipOf(name) === undefined) return [];
  try {
    const { findings } = await client.call('Validate', { target: name, shapeOnly: true, owner });
    return findings.filter(({ state, reason }) => state !== 'passed' && !UNFINISHED.has(reason ?? ''));
  } catch (error) {
    // The credential is saved; whatever keeps the daemon from looking at it is told by the next command.
    if (error instanceof CredentialError || error instanceof ConnectionError) return [];
    throw error;
  }
}

/** Reasons that a set has while it is being made. */
const UNFINISHED: ReadonlySet<string> = new Set(['missing_field', 'unknown_provider']);

interface ValueOptions {
  readonly 'from-file': string | undefined;
  readonly 'keep-newline': boolean;
  readonly replace: boolean;
  readonly owner: number | null;
}

async function askName(session: Session): Promise<string> {
  if (!session.prompter.canAsk) throw usageError('NAME is missing', 'usage: cio credential create NAME [VALUE]');
  return session.prompter.ask('Name of the credential', { isHidden: false });
}

async function readValue(
  session: Session,
  name: string,
  typed: string | undefined,
  options: ValueOptions,
): Promise<Uint8Array> {
  const rules = { keepNewline: options['keep-newline'] };
  if (options['from-file'] !== undefined) {
    if (typed !== undefined) throw usageError('there are two values: VALUE and --from-file');
    return readValueFromFile(options['from-file'], rules);
  }
  if (typed !== undefined && typed !== '-') return readTyped(session, name, typed);
  return session.prompter.canAsk ? askValue(session, name, options) : readValueFromStdin(rules);
}

function readTyped(session: Session, name: string, typed: string): Uint8Array {
  if (typed === '') throw new CommandError('NoValue', 'VALUE is empty', 'a value has at least one byte');
  if (!isIntact(typed)) throw usageError('VALUE is not UTF-8 text', 'give it on standard input or by --from-file');
  if (knownField(name)?.isSecret !== false) {
    session.warn('other users of this host can see a secret on the command line, and the shell remembers it');
  }
  return Buffer.from(typed);
}

async function askValue(session: Session, name: string, { replace, owner }: ValueOptions): Promise<Uint8Array> {
  // Before anybody types a long secret twice, and is then told that it was for nothing.
  if (!replace) await assertIsNew(session, name, owner);
  const field = knownField(name);
  const question = field === undefined ? `Value of ${name}` : `${field.label} (${name})`;
  const isHidden = field?.isSecret !== false;
  const text = isHidden ? await session.prompter.askNew(question) : await session.prompter.ask(question, { isHidden });
  return Buffer.from(text);
}

async function assertIsNew(session: Session, name: string, owner: number | null): Promise<void> {
  const { credentials } = await session.withClient((client) => client.call('List', { patterns: [name], owner }));
  if (credentials.some((credential) => credential.name === name && credential.writable)) {
    throw new CredentialError('AlreadyExists', { name });
  }
}

/** Undefined for a name that belongs to no set: it is treated as a secret. */
function knownField(name: string): Field | undefined {
  const membership = membershipOf(name);
  return membership && fieldOf(membership.field, providerOf(membership.set, undefined));
}
