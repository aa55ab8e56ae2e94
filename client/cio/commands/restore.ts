import { defineCommand, YES_OPTION, type Command } from '../command.ts';

/** Replaces the store with a copy, while the daemon runs. */
export const RESTORE: Command = defineCommand({
  name: 'restore',
  operation: 'Restore store',
  summary: 'Replace the store with a copy that backup made',
  details:
    'First opens the copy and checks every record of it; then all of it replaces the store, or nothing changes. ' +
    "This host's key opens the copy, or the passphrase, which it asks for or reads as the first line of standard input. " +
    'The previous store is kept beside the new one.',
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
