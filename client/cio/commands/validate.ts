import { usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';

/** Tries sets out, from the values to the password that opens the repository. */
export const VALIDATE: Command = defineCommand({
  name: 'validate',
  operation: 'Validate credential',
  summary: 'Try sets out, from the name of the server to the password that opens the repository',
  details:
    'Checks the values, the name of the server, the connection, TLS, the clock, the keys, the region, the bucket, the rights ' +
    'to list, write, read and delete, the restic repository, and its password. An object is written and deleted again. ' +
    'Exit code 9 if anything failed. All names are tried, and the first failure gives the exit code: 3 for one ' +
    'that does not exist.',
  positionals: { 'NAME|SET|UUID': { describe: 'What to try out', count: 'any', completes: 'target' } },
  options: {
    all: { type: 'boolean', describe: 'Every set that you may read' },
    'restore-only': { type: 'boolean', describe: 'Write and delete nothing; the rights to do so are not needed' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential validate aws', ''],
    ['cio credential validate aws_alt --restore-only', 'before a restore'],
    ['cio credential validate --all --json', ''],
  ],
  async run({ positionals, options }, session) {
    const named = positionals['NAME|SET|UUID'];
    if (named.length === 0 && !options.all) throw usageError('no set is given', 'name a set, or --all');
    if (named.length > 0 && options.all) throw usageError('--all and names exclude each other');
    const owner = resolveOwner(options.owner);
    const { validateSets } = await import('../validate/validate-sets.ts');
    return validateSets(session, named, { owner, restoreOnly: options['restore-only'] });
  },
});
