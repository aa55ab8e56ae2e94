import { canonicalSetName, memberName } from '../../../src/sets.ts';
import type { CredentialClient } from '../../client.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { CommandError, usageError } from '../command-error.ts';
import { isNamedByProvider } from '../create/options.ts';
import { resolveOwner } from '../principals.ts';
import type { Session } from '../session.ts';
import { printableJson } from '../text.ts';

/** Has the daemon generate and store a password. */
export const GENERATE: Command = defineCommand({
  name: 'generate',
  operation: 'Generate credential',
  summary: 'Make a strong password and store it',
  details:
    'The daemon makes it of random letters and digits, without those that look alike, or of words from ' +
    'a list of 7772. Nobody sees it unless --show prints it. Whoever loses a repository password loses the backups: keep a copy.',
  positionals: {
    NAME: { describe: 'The name of the credential, as in cio_aws_backup_password', count: 'one', completes: 'new' },
  },
  options: {
    length: { type: 'integer', value: 'N', describe: 'How many characters, 16 to 1024 (32)' },
    words: { type: 'integer', value: 'N', describe: 'How many words, with - between them, 5 to 64' },
    show: { type: 'boolean', describe: 'Print it on standard output' },
    replace: { type: 'boolean', describe: 'Give a new value to a credential that exists' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential generate cio_aws_backup_password', ''],
    ['cio credential generate cio_aws_backup_password --words 6 --show', 'to be written down'],
  ],
  async run({ positionals, options }, session) {
    if (options.length !== undefined && options.words !== undefined) {
      throw usageError('--length and --words exclude each other');
    }
    const { NAME: target } = positionals;
    const owner = resolveOwner(options.owner);
    const reply = await session.withClient(async (client) => {
      await refuseSet(client, target, owner);
      return client.call('Generate', {
        name: target,
        length: options.length ?? null,
        words: options.words ?? null,
        show: options.show,
        replace: options.replace,
        owner,
      });
    });
    const { name, bits, value } = reply;
    const done = `Credential ${name} saved (${bits} bits)`;
    if (!options.show) session.succeed(reply, 'Generate credential', done);
    else deliver(session, name, session.isJson ? `${printableJson(reply)}\n` : `${value ?? ''}\n`);
    return 0;
  },
});

/**
 * Refuses the name of a set, or one for which `create` would make a set: later commands would take that name for the
 * new credential instead of the set. A credential of that name that already exists takes the new value.
 *
 * @throws CommandError `Usage`
 */
async function refuseSet(client: CredentialClient, target: string, owner: number | null): Promise<void> {
  const set = target.startsWith('cio_') ? undefined : canonicalSetName(target);
  if (set === undefined) return;
  const { credentials } = await client.call('List', { patterns: [target], owner });
  // A credential that is not writable belongs to another user, who granted it to the caller.
  const own = credentials.filter(({ writable }) => writable);
  if (own.some(({ name }) => name === target)) return;
  if (!isNamedByProvider(set) && !own.some((credential) => credential.set === set)) return;
  const member = memberName(set, 'backup_password');
  throw usageError(`${set} is the name of a set`, `its password: cio credential generate ${member}`);
}

/** Prints the new value. If that fails, the error says that it is stored all the same. */
function deliver(session: Session, name: string, text: string): void {
  try {
    session.deliver(text);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(
      'WriteFailed',
      `${error.message}; ${name} was saved all the same`,
      `cio credential get ${name} shows it`,
    );
  }
}
