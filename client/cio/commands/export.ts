import type { AgeLock } from '../age/age.ts';
import { usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { STDOUT } from '../file-descriptors.ts';
import { readNewPassphrase } from '../passphrase.ts';
import { resolveOwner } from '../principals.ts';
import type { Session } from '../session.ts';
import { isTerminal } from '../terminal.ts';
import { formatCount } from '../text.ts';

/** A shorter passphrase, in characters, gets a warning: whoever has the file can guess without limit. */
const PASSPHRASE_LENGTH_GOOD = 16;

/** Writes credentials into one encrypted file. */
export const EXPORT: Command = defineCommand({
  name: 'export',
  operation: 'Export credentials',
  summary: 'Write credentials into one file, encrypted with age',
  details:
    'Without a name, exports all your own credentials (for an administrator, the shared ones), as of one moment. ' +
    'The identity of a recipient, or the passphrase, opens the file, also with age itself. ' +
    'It asks for the passphrase on a terminal, and elsewhere reads it from the first line of standard input.',
  positionals: { 'NAME|SET': { describe: 'What to export: names, sets, patterns', count: 'any', completes: 'target' } },
  options: {
    to: { type: 'string', value: 'FILE|-', describe: 'Where to; - is standard output', completes: 'file' },
    set: { type: 'string', value: 'SET', describe: 'A set', multiple: true, completes: 'set' },
    recipient: { type: 'string', short: 'r', value: 'age1...', describe: 'Who can open it', multiple: true },
    'recipients-file': { type: 'string', value: 'FILE', describe: 'The same, one per line', completes: 'file' },
    passphrase: { type: 'boolean', short: 'p', describe: 'A passphrase opens it' },
    armor: { type: 'boolean', short: 'a', describe: 'Write it as text' },
    force: { type: 'boolean', describe: 'Replace an existing file' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential export --to backup.age --passphrase', 'everything'],
    ['cio credential export aws minio --to two.age -r age1...', 'two sets, for the holder of a key'],
    ['cio credential import backup.age --dry-run', 'what is in it'],
  ],
  async run({ positionals, options }, session) {
    const { to, armor, force } = options;
    if (to === undefined) throw usageError('--to is missing', 'give --to FILE, or --to - for standard output');
    const isStream = to === '-';
    if (isStream && session.isJson) throw usageError('--json and --to - both need standard output');
    if (isStream && !armor && isTerminal(STDOUT))
      throw usageError('a terminal cannot show the file', 'give --armor, or a file');
    const { NewFile } = await import('../new-file.ts');
    using file = isStream ? undefined : NewFile.create(to, { force });
    const lock = await readLock(session, options);
    const selection = { targets: positionals['NAME|SET'], sets: options.set, owner: resolveOwner(options.owner) };
    const { exportCredentials } = await import('../export/export-credentials.ts');
    const made = await exportCredentials(session, selection, lock, armor);
    if (file === undefined) session.deliver(made.file);
    file?.write(made.file);
    file?.commit();
    const { credentials, sets } = made;
    const what = `${formatCount(credentials, 'credential')}${sets.length === 0 ? '' : ` (${formatCount(sets.length, 'set')})`} exported`;
    if (!isStream || !isTerminal(STDOUT)) {
      session.succeed({ file: to, credentials, sets, bytes: made.file.length }, 'Export credentials', what);
    }
    if (!session.isJson && !isStream) session.note(`Try it out: cio credential import ${to} --dry-run`);
    return 0;
  },
});

interface LockOptions {
  readonly recipient: readonly string[];
  readonly 'recipients-file': string | undefined;
  readonly passphrase: boolean;
}

async function readLock(session: Session, options: LockOptions): Promise<AgeLock> {
  const { recipient, 'recipients-file': file, passphrase } = options;
  const isForRecipients = recipient.length > 0 || file !== undefined;
  if (isForRecipients === passphrase) {
    throw usageError(
      passphrase ? 'a file is for recipients or for a passphrase, not for both' : 'no recipient or passphrase is given',
      'give --recipient age1..., --recipients-file FILE, or --passphrase',
    );
  }
  if (passphrase) {
    const entered = await readNewPassphrase(session, 'New passphrase of the file');
    if (entered.length < PASSPHRASE_LENGTH_GOOD) {
      session.warn('whoever gets the file can guess a short passphrase: use five random words or more');
    }
    return { passphrase: entered };
  }
  if (file === undefined) return { recipients: recipient };
  const { readKeysFile } = await import('../age/open-age-file.ts');
  return { recipients: [...recipient, ...readKeysFile(file, 'the file of --recipients-file')] };
}
