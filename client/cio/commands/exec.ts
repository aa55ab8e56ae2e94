import { usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';
import { becomeCommand, findCommand } from '../process-image.ts';
import { brokenVariables, isIntact } from '../raw-arguments.ts';
import { readSetEnvironment } from '../set-environment.ts';

/** Becomes a command that has a set's values in its environment. */
export const EXEC: Command = defineCommand({
  name: 'exec',
  operation: 'Execute command',
  summary: 'Run a command with the values of a set in its environment',
  details:
    'restic, rclone and the AWS tools find what they need. Variables of yours that would contradict the set are left out. ' +
    "The exit code is the command's.",
  positionals: { SET: { describe: 'Name or UUID of the set', count: 'one', completes: 'set' } },
  options: OWNER_OPTION,
  takesCommand: true,
  examples: [
    ['cio credential exec aws -- restic backup /srv', ''],
    ['cio credential exec aws_alt -- rclone ls aws_alt:backup-123', ''],
  ],
  async run({ positionals, options, rest }, session) {
    const broken = rest.findIndex((argument) => !isIntact(argument));
    if (broken !== -1) {
      throw usageError(
        `word ${broken + 1} of the command is not UTF-8 text`,
        'it would reach the command as another one',
      );
    }
    // Before any secret is asked for.
    findCommand(rest[0] ?? '', process.env['PATH']);
    const change = await readSetEnvironment(session, positionals.SET, resolveOwner(options.owner));
    const cleared = new Set(change.clear);
    const kept = Object.entries(process.env).filter(([name]) => !cleared.has(name));
    for (const name of brokenVariables(Object.fromEntries(kept))) {
      session.note(`The variable ${name} is not UTF-8 text, and reaches the command changed.`);
    }
    return becomeCommand(rest, Object.fromEntries([...kept, ...change.set]) as Record<string, string>);
  },
});
