import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';

/** Reports changes as they happen. */
export const WATCH: Command = defineCommand({
  name: 'watch',
  operation: 'Watch credentials',
  summary: 'Show what is stored, then every change, until interrupted',
  details:
    'A line for each credential and set that you may see, then one for each that is new, changed or gone; never a value. ' +
    'With --json each line is a document, and {"event":"settled"} comes between the two. It waits while the daemon ' +
    'is restarted or locked.',
  positionals: {
    PATTERN: { describe: 'A name, a set, a UUID, or a name with * and ? in it', count: 'any', completes: 'target' },
  },
  options: OWNER_OPTION,
  examples: [
    ['cio credential watch', ''],
    ['cio credential watch aws', 'one set'],
    ['cio credential watch --json | jq .', 'for programs'],
  ],
  async run({ positionals, options }, session) {
    const { printChanges } = await import('../watch/print-changes.ts');
    return printChanges(session, { patterns: positionals.PATTERN, owner: resolveOwner(options.owner) });
  },
});
