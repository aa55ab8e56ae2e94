import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { usageError } from '../command-error.ts';
import { resolveOwner } from '../principals.ts';

/** Has the daemon make a password. */
export const GENERATE: Command = defineCommand({
  name: 'generate',
  operation: 'Generate credential',
  summary: 'Make a strong password and store it',
  details:
    'The daemon makes it of random letters and digits, without those that are mistaken for each other, or of words from ' +
    'a list of 7772; nobody sees it unless --show prints it. Whoever loses a repository password loses the backups: keep a copy.',
  positionals: {
    NAME: { describe: 'The name of the credential, as in cio_aws_backup_password', count: 'one', completes: 'new' },
  },
  options: {
    length: { type: 'integer', value: 'N', describe: 'So many characters, 16 to 1024 (32)' },
    words: { type: 'integer', value: 'N', describe: 'So many words with - between them, 5 to 64' },
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
    const reply = await session.withClient((client) =>
      client.call('Generate', {
        name: positionals.NAME,
        length: options.length ?? null,
        words: options.words ?? null,
        show: options.show,
        replace: options.replace,
        owner: resolveOwner(options.owner),
      }),
    );
    const { name, bits, value } = reply;
    if (!session.isJson && typeof value === 'string') session.deliver(`${value}\n`);
    else session.succeed(reply, 'Generate credential', `Credential ${name} saved (${bits} bits)`);
    return 0;
  },
});
