import { usageError } from '../command-error.ts';
import { defineCommand, type Command } from '../command.ts';
import { STDOUT } from '../file-descriptors.ts';
import { isTerminal } from '../terminal.ts';

/** Copies the store as it is, encrypted, while the daemon runs. */
export const BACKUP: Command = defineCommand({
  name: 'backup',
  operation: 'Backup store',
  summary: 'Copy the whole store, still encrypted, while it is in use',
  details:
    'Copies all credentials of all users, with their versions and grants, as of one moment. What opens the store opens ' +
    'the copy: add a recovery slot, or the copy is useless when this host is lost. restore puts it back.',
  positionals: { 'FILE|-': { describe: 'Where to; - is standard output', count: 'one', completes: 'file' } },
  options: { force: { type: 'boolean', describe: 'Replace an existing file' } },
  examples: [
    ['cio credential backup /mnt/stick/credentials.db', ''],
    ['cio credential backup - | ssh host "cat > credentials.db"', ''],
  ],
  async run({ positionals, options }, session) {
    const path = positionals['FILE|-'];
    const isStream = path === '-';
    if (isStream && session.isJson) throw usageError('--json and - both need standard output');
    if (isStream && isTerminal(STDOUT)) throw usageError('a terminal cannot show a copy', 'give a file, or a pipe');
    const { NewFile } = await import('../new-file.ts');
    const { receiveCopy } = await import('../backup/receive-copy.ts');
    using file = isStream ? undefined : NewFile.create(path, options);
    using progress = session.progress('Copying the store');
    const copy = await receiveCopy(session, (piece) =>
      file === undefined ? session.deliver(piece) : file.write(piece),
    );
    file?.commit();
    progress.clear();
    session.succeed({ file: path, ...copy }, 'Backup store', `${copy.bytes} bytes copied, SHA-256 ${copy.sha256}`);
    if (!copy.opensElsewhere && !session.isJson) {
      session.note(
        "Only this host's own key opens this copy. For when the host is lost: cio credential slot add recovery",
      );
    }
    return 0;
  },
});
