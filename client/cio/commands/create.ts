import { CredentialError } from '../../../src/errors.ts';
import { parseName } from '../../../src/names.ts';
import type { Finding } from '../../../src/protocol/interface.generated.ts';
import type { Field } from '../../../src/providers/provider.ts';
import { FIELD_IDS, fieldOf, PROVIDERS } from '../../../src/providers/registry.ts';
import { membershipOf, providerOf } from '../../../src/sets.ts';
import type { CredentialClient } from '../../client.ts';
import { ConnectionError } from '../../connection-error.ts';
import { encodeValue } from '../../value.ts';
import { CommandError, usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { FIELD_OPTIONS, isNamedByProvider, meansSet, SOURCE_OPTIONS, type SetOptions } from '../create/options.ts';
import { resolveOwner } from '../principals.ts';
import { isIntact, SECRET_ARGUMENT_WARNING } from '../raw-arguments.ts';
import type { Session } from '../session.ts';
import { readValueFromFile, readValueFromStdin } from '../value-input.ts';

/** Stores a credential, or a whole set. */
export const CREATE: Command = defineCommand({
  name: 'create',
  aliases: ['add'],
  operation: 'Create credential',
  summary: 'Store a credential, or a whole set',
  details:
    'Without VALUE, it asks for it on a terminal; elsewhere, or with - as VALUE, it reads it from standard input. ' +
    'Do not give a secret as VALUE: other users of the host can see it, and the shell remembers it.\n\n' +
    'With --provider, or if NAME begins with a provider as in aws_site2, NAME is a set. It asks for the fields, or takes ' +
    "them from the environment, a file (JSON, YAML, INI, KEY=VALUE) or pxctl's options. The set is tried out, and stored " +
    'only if nothing failed. A file with the keys of a provider (--from-file) is a set; to store it as one value, give - < PATH.',
  positionals: {
    NAME: {
      describe: 'Its name, as in cio_aws_access_key; or a set, as in aws',
      count: 'optional',
      completes: 'new',
    },
    VALUE: { describe: 'Its value; - for standard input', count: 'optional' },
  },
  options: {
    replace: { type: 'boolean', describe: 'Replace existing values' },
    'from-file': {
      type: 'string',
      short: 'f',
      value: 'PATH',
      describe: 'Read the value, or the set, from a file; - for standard input',
      completes: 'file',
    },
    'keep-newline': { type: 'boolean', describe: 'Keep the newline at the end of a value that is read' },
    ...OWNER_OPTION,
    ...SOURCE_OPTIONS,
    ...FIELD_OPTIONS,
  },
  examples: [
    ['cio credential create cio_aws_backup_repo s3:https://s3.amazonaws.com/backup-123', 'a value that is not secret'],
    ['cio credential create cio_aws_secret_key', 'asks for the value'],
    ['pass show aws | cio credential create cio_aws_secret_key --replace', 'a new value from a pipe'],
    ['cio credential create aws', 'a set, asked for field by field'],
    ['cio credential create offsite --provider s3 --from-env', 'a set from AWS_ACCESS_KEY_ID and so on'],
    ['cio credential create aws --from-file ~/.aws/credentials', 'a set from a file'],
    [
      'cio credentials create --provider s3 --s3-access-key AK --s3-secret-key - --s3-endpoint minio:9000 --s3-disable-ssl my-cred',
      'as pxctl does it',
    ],
  ],
  async run({ positionals, options }, session) {
    const owner = resolveOwner(options.owner);
    const given = positionals.NAME ?? (meansSet(options) ? undefined : await askName(session));
    if (given === undefined || (await isForSet(given, positionals.VALUE, options))) {
      if (positionals.VALUE !== undefined)
        throw usageError('VALUE is for one credential', 'a set has options for its fields');
      const { createSet } = await import('../create/create-set.ts');
      return createSet(session, { name: given, options, owner });
    }
    const name = parseName(given);
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
      for (const mistake of mistakes)
        session.note(`Warning: ${formatMistake(membershipOf(name)?.set ?? name, mistake)}`);
    }
    const note = noteOf(name);
    if (note !== undefined) session.note(`Note: ${name} is ${note}.`);
    return 0;
  },
});

/** Returns a note for a credential whose name suggests that the user meant something else. */
function noteOf(name: string): string | undefined {
  if (name.startsWith('cio_')) {
    return membershipOf(name)
      ? undefined
      : `not part of a set: it does not end in a known field (${FIELD_IDS.toSorted().join(', ')})`;
  }
  if (!isNamedByProvider(name)) return undefined;
  return membershipOf(`cio_${name}`) === undefined
    ? 'a single credential, not a set; create without a value makes the set'
    : `not part of a set; cio_${name} would be`;
}

/** Tells whether a whole set is meant. In doubt, it is a single credential. */
async function isForSet(
  name: string,
  value: string | undefined,
  options: SetOptions & ValueInputOptions,
): Promise<boolean> {
  if (meansSet(options)) return true;
  if (value !== undefined || name.startsWith('cio_') || options['keep-newline']) return false;
  const file = options['from-file'];
  if (PROVIDERS.has(name.replace(/_alt$/, ''))) return true;
  // Standard input can be read only once, and so cannot be inspected first.
  if (file === undefined || file === '-') return isNamedByProvider(name);
  const { isSetFile } = await import('../create/from-file.ts');
  return isSetFile(file, name);
}

/** Returns what is wrong with the values of the set now. A field that is still missing is not a mistake. */
async function findMistakes(client: CredentialClient, name: string, owner: number | null): Promise<readonly Finding[]> {
  if (membershipOf(name) === undefined) return [];
  try {
    const { findings } = await client.call('Validate', { target: name, shapeOnly: true, owner });
    return findings.filter(({ state, reason }) => state !== 'passed' && !UNFINISHED.has(reason ?? ''));
  } catch (error) {
    // The credential is saved. If the daemon has a problem with checking it, the next command reports it.
    if (error instanceof CredentialError || error instanceof ConnectionError) return [];
    throw error;
  }
}

/** Reasons of findings that are normal while a set is being made. */
const UNFINISHED: ReadonlySet<string> = new Set(['missing_field', 'unknown_provider']);

interface ValueInputOptions {
  readonly 'from-file': string | undefined;
  readonly 'keep-newline': boolean;
}

interface ValueOptions extends ValueInputOptions {
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
  const file = options['from-file'];
  if (file !== undefined && typed !== undefined) throw usageError('there are two values: VALUE and --from-file');
  if (file !== undefined && file !== '-') return readValueFromFile(file, rules);
  if (typed !== undefined && typed !== '-') return readTyped(session, name, typed);
  return session.prompter.canAsk ? askValue(session, name, options) : readValueFromStdin(rules);
}

function readTyped(session: Session, name: string, typed: string): Uint8Array {
  if (typed === '') throw new CommandError('NoValue', 'VALUE is empty', 'a value has at least one byte');
  if (!isIntact(typed)) throw usageError('VALUE is not UTF-8 text', 'give it on standard input or by --from-file');
  if (knownField(name)?.isSecret !== false) {
    session.warn(SECRET_ARGUMENT_WARNING);
  }
  return Buffer.from(typed);
}

async function askValue(session: Session, name: string, { replace, owner }: ValueOptions): Promise<Uint8Array> {
  // Checked first, so that nobody types a long secret twice for nothing.
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

/** Returns the field that a name stands for. Undefined for a name outside of any set, which is treated as a secret. */
function knownField(name: string): Field | undefined {
  const membership = membershipOf(name);
  return membership && fieldOf(membership.field, providerOf(membership.set, undefined));
}
