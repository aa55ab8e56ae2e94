import type { SetContent } from '../../../src/forms/set-content.ts';
import type { CredentialEndpoint } from '../../../src/forms/served-environment.ts';
import { usageError } from '../command-error.ts';
import { requireAwsKeys, readAwsKeys } from '../aws-keys.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import type { CredentialServer } from '../exec/credential-server.ts';
import { applyChange, parseFileVariables, planExecution, secretsOf, type Execution } from '../exec/execution.ts';
import { STDERR, STDOUT } from '../file-descriptors.ts';
import { ON_CHANGE, parseOnChange } from '../on-change/action.ts';
import type { PreparedRun } from '../on-change/run-on-change.ts';
import { resolveOwner } from '../principals.ts';
import { becomeCommand, findCommand } from '../process-image.ts';
import { brokenVariables, isIntact } from '../raw-arguments.ts';
import type { Session } from '../session.ts';
import { readCompleteSet } from '../set-environment.ts';
import { isTerminal } from '../terminal.ts';

/**
 * Runs a command with a set's values in its environment. Replaces this process by it if nothing has to run beside it.
 */
export const EXEC: Command = defineCommand({
  name: 'exec',
  operation: 'Execute command',
  summary: 'Run a command with the values of a set in its environment',
  details:
    'restic, rclone and the AWS tools find there what they need; variables of yours that would contradict the set are left ' +
    "out. The exit code is the command's. What tools read only from a file, such as a Google service account or a " +
    'certificate authority, is given as a file in memory. With --server, the keys are not in the environment: AWS SDKs ' +
    'ask for them whenever they need them, so changed keys reach a running command. ' +
    'If the command writes a secret of the set to this terminal, as it is, in base64, or as URLs, JSON and shells write it, ' +
    '<masked> is shown instead; pipes and files get it as it is. Ctrl-Z does not stop a command whose output is masked; ' +
    'with --no-masking it does.',
  positionals: { SET: { describe: 'Name or UUID of the set', count: 'one', completes: 'set' } },
  options: {
    server: { type: 'boolean', describe: 'Serve the S3 keys to the command while it runs' },
    file: {
      type: 'string',
      value: 'VARIABLE=FIELD',
      multiple: true,
      describe: 'Set a variable to the path of a file with this field',
    },
    'no-masking': { type: 'boolean', describe: 'Show secrets that the command writes to this terminal' },
    'on-change': {
      type: 'string',
      value: 'restart|SIGHUP|...',
      describe: 'Restart the command, or send it a signal, when the set has changed and is complete',
      completes: ON_CHANGE,
    },
    ...OWNER_OPTION,
  },
  takesCommand: true,
  examples: [
    ['cio credential exec aws -- restic backup /srv', ''],
    ['cio credential exec aws_alt -- rclone ls aws_alt:backup-123', ''],
    ['cio credential exec aws --server -- restic mount /mnt', 'keys may be rotated meanwhile'],
    ['cio credential exec aws --file PASSFILE=backup_password -- tool', 'for tools that read files only'],
    [
      'cio credential exec aws --on-change restart -- rclone serve http aws:backup-123',
      'always with what is stored now',
    ],
  ],
  async run({ positionals, options, rest }, session) {
    requireIntact(rest);
    const asked = parseFileVariables(options.file);
    const action = parseOnChange(options['on-change']);
    if (action !== undefined && options.server) {
      throw usageError(
        '--server and --on-change exclude each other',
        'with --server, a command asks for the keys again by itself',
      );
    }
    const isMasked = !options['no-masking'] && (isTerminal(STDOUT) || isTerminal(STDERR));
    // Fails early, before any secret is read from the daemon.
    findCommand(rest[0] ?? '', process.env['PATH']);
    const owner = resolveOwner(options.owner);
    const read = (): Promise<SetContent> => readCompleteSet(session, positionals.SET, owner);
    const secrets = new Set<string>();
    // Only adds secrets: a command may still print one that it was given earlier.
    const mask = (more: readonly string[]): void => {
      if (isMasked) for (const secret of more) secrets.add(secret);
    };
    const prepare = async (content: SetContent, endpoint?: CredentialEndpoint): Promise<PreparedRun> => {
      mask(secretsOf(content));
      return {
        command: rest,
        ...(await prepareEnvironment(session, planExecution(content, asked, endpoint))),
        secrets,
      };
    };
    if (action !== undefined) {
      const { runOnChange } = await import('../on-change/run-on-change.ts');
      const prepareAnew = async (): Promise<PreparedRun> => prepare(await read());
      return runOnChange(session, { set: positionals.SET, owner, action, prepare: prepareAnew });
    }
    const content = await read();
    using server = options.server ? await serve(session, content, owner, mask) : undefined;
    const run = await prepare(content, server?.endpoint);
    if (server === undefined && secrets.size === 0) return becomeCommand(rest, run.environment);
    return await runAsChild(run);
  },
});

/** @throws CommandError `Usage` */
function requireIntact(command: readonly string[]): void {
  const broken = command.findIndex((argument) => !isIntact(argument));
  if (broken === -1) return;
  throw usageError(`word ${broken + 1} of the command is not UTF-8 text`, 'it would reach the command changed');
}

/** Runs a command beside this process, and ends as the command does. */
async function runAsChild({ command, environment, secrets }: PreparedRun): Promise<number> {
  const { endAs, runChild } = await import('../exec/run-child.ts');
  if (secrets.size === 0) return endAs(await runChild(command, environment, { stdio: 'inherit' }));
  const { runMasked } = await import('../exec/run-masked.ts');
  return endAs(await runMasked(command, environment, secrets));
}

/** Serves the current keys of a set on each request. Keys are added to the masked secrets before they are served. */
async function serve(
  session: Session,
  content: SetContent,
  owner: number | null,
  mask: (secrets: readonly string[]) => void,
): Promise<CredentialServer> {
  requireAwsKeys(content);
  const { startCredentialServer } = await import('../exec/credential-server.ts');
  const server = await startCredentialServer(async () => {
    const keys = await readAwsKeys(session, content.set, owner);
    mask([keys.secretAccessKey, keys.sessionToken ?? '']);
    return keys;
  });
  mask([server.endpoint.token]);
  return server;
}

/** The environment of a command, and the descriptors of the files that it names. */
type PreparedEnvironment = Pick<PreparedRun, 'environment' | 'files'>;

/** Builds the environment of the command, and creates the files that it names. */
async function prepareEnvironment(session: Session, { change, files }: Execution): Promise<PreparedEnvironment> {
  const environment: Record<string, string> = { ...applyChange(process.env, change) };
  const kept = Object.entries(process.env).filter(
    ([name]) => Object.hasOwn(environment, name) && !change.set.has(name),
  );
  for (const name of brokenVariables(Object.fromEntries(kept))) {
    session.note(`The variable ${name} is not UTF-8 text, and reaches the command changed.`);
  }
  if (files.size === 0) return { environment, files: [] };
  const { makeMemoryFile } = await import('../exec/memory-file.ts');
  const made = new Map<string, number>();
  for (const [variable, value] of files) {
    const descriptor = made.get(value) ?? makeMemoryFile(value);
    made.set(value, descriptor);
    environment[variable] = `/dev/fd/${descriptor}`;
  }
  return { environment, files: [...made.values()] };
}
