import { usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';

/** Makes an older value a new version, without showing it. */
export const ROLLBACK: Command = defineCommand({
  name: 'rollback',
  operation: 'Rollback credential',
  summary: 'Bring an older value back as a new version, without showing it',
  details: 'Without an option: the value before the current one; for a set, all its values before its last change.',
  positionals: { 'NAME|SET': { describe: 'What to bring back', count: 'one', completes: 'target' } },
  options: {
    version: { type: 'integer', value: 'N', describe: 'The version of a credential, see history' },
    generation: {
      type: 'integer',
      value: 'N',
      describe: 'The generation of a set, as history shows it for its fields',
    },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential rollback cio_aws_secret_key', 'undoes the last change'],
    ['cio credential rollback aws --generation 12', 'a whole set as it was'],
  ],
  async run({ positionals, options }, session) {
    const { version, generation } = options;
    if (version !== undefined && generation !== undefined) {
      throw usageError('--version and --generation exclude each other');
    }
    const parameters = {
      target: positionals['NAME|SET'],
      version: version ?? null,
      generation: generation ?? null,
      owner: resolveOwner(options.owner),
    };
    const reply = await session.withClient((client) => client.call('Rollback', parameters));
    const results = reply.saved.map(({ name, version }) => `Credential ${name} restored as version ${version}`);
    if (session.isJson) session.printDocument(reply);
    else for (const result of results) session.succeed(reply, 'Rollback credential', result);
    if (!session.isJson && results.length === 0) session.note('It already is as it was then; nothing was changed.');
    return 0;
  },
});
