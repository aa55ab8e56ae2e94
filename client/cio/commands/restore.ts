import { defineCommand, YES_OPTION, type Command } from '../command.ts';

/** Puts a copy of the store in its place, while the daemon runs. */
export const RESTORE: Command = defineCommand({
  name: 'restore',
  operation: 'Restore store',
  summary: 'Put a copy that backup made in the place of the store',
  details:
    'First the copy is opened and every record of it checked; then all of it replaces the store, or nothing changes. It ' +
    "opens with this host's key, or with the passphrase, which it asks for or reads as the first line of standard input. " +
    'What was there before is kept beside the store.',
  positionals: { FILE: { describe: 'The copy', count: 'one', completes: 'file' } },
  options: {
    'dry-run': { type: 'boolean', short: 'n', describe: 'Check the copy, and change nothing' },
    recovery: { type: 'boolean', describe: 'Open it with the printed recovery code' },
    ...YES_OPTION,
  },
  examples: [
    ['cio credential restore credentials.db --dry-run', ''],
    ['cio credential restore credentials.db --recovery', 'on another host'],
  ],
  async run({ positionals, options }, session) {
    const { restoreCopy } = await import('../backup/send-copy.ts');
    return restoreCopy(session, positionals.FILE, {
      isConfirmed: options.yes,
      isDryRun: options['dry-run'],
      usesRecoveryCode: options.recovery,
    });
  },
});
