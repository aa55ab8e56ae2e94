import { formatExports } from '../../../src/forms/shell.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';
import { readSetEnvironment } from '../set-environment.ts';

/** Prints the variables of a set for a shell. */
export const ENV: Command = defineCommand({
  name: 'env',
  operation: 'Print environment',
  summary: 'Print the variables of a set for a shell',
  details: 'With --json: an object of variables; null for one that must not be set. exec needs no shell.',
  positionals: { SET: { describe: 'Name or UUID of the set', count: 'one', completes: 'set' } },
  options: OWNER_OPTION,
  examples: [['eval "$(cio credential env aws)"', 'in sh, bash and zsh']],
  async run({ positionals, options }, session) {
    const { set, unset } = await readSetEnvironment(session, positionals.SET, resolveOwner(options.owner));
    const document = Object.fromEntries([...set, ...unset.map((name) => [name, null] as const)]);
    session.print(document, () => {
      const unsets = unset.filter((name) => process.env[name] !== undefined).map((name) => `unset ${name}\n`);
      return unsets.join('') + formatExports(set);
    });
    return 0;
  },
});
