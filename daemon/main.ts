import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { CredentialError, EXIT } from '../src/errors.ts';
import { quoteIfNeeded } from '../src/forms/shell.ts';
import { homeDirectory } from '../src/home-directory.ts';
import type { App } from './app.ts';
import type * as Libc from './kernel/libc.ts';
import { LogOutput } from './log-output.ts';
import { createLog, describeDefect, isSystemdJournal } from './log.ts';
import type { Log } from './log.ts';
import { USAGE, UsageError, parseSettings } from './settings.ts';
import type { SalvageSettings, Settings } from './settings.ts';

const NODE_MAJOR_MIN = 24;

/** Variables that systemd sets for this process only; its child processes must not inherit them. */
const FROM_SYSTEMD = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

/** Ends the process: with `process.exit`, or, once the C library is loaded, with its `_exit`. */
let end: (code: number) => never = (code) => process.exit(code);

async function main(): Promise<void> {
  const output = new LogOutput();
  const toJournal = isSystemdJournal(process.env['JOURNAL_STREAM']);
  const log = createLog(output.write, toJournal);
  if (Number(process.versions.node.split('.', 1)[0]) < NODE_MAJOR_MIN) {
    log.error(`Node ${NODE_MAJOR_MIN} or newer is needed, this is ${process.versions.node}; start it with: npm start`);
    process.exit(EXIT.failed);
  }
  // Node's own report would print the error's message and a line of the program.
  process.on('uncaughtException', (error) => {
    log.error('ended: internal error', describeDefect(error));
    end(EXIT.failed);
  });
  process.umask(0o077);
  let purpose = 'start';
  let stateDirectory: string | undefined;
  try {
    const uid = process.geteuid?.() ?? -1;
    const { argv, env: environment, pid } = process;
    const command = parseSettings({
      argv: argv.slice(2),
      environment,
      uid,
      pid,
      home: homeDirectory(environment, homedir),
    });
    if (command.kind === 'run') {
      ({ stateDirectory } = command.settings);
      await run(command.settings, log, output, toJournal);
    } else if (command.kind === 'salvage') {
      purpose = 'salvage the store';
      await salvage(command.settings, log);
    } else process.stdout.write(command.kind === 'help' ? USAGE : `${ownPackage().version}\n`);
  } catch (error) {
    end(report(error, purpose, stateDirectory, log));
  }
}

/** Serves until a signal stops the daemon. */
async function run(settings: Settings, log: Log, output: LogOutput, toJournal: boolean): Promise<void> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<NodeJS.Signals>();
  // Installed before anything slow: a unit may be waiting on a connection that systemd kept for the daemon, and must
  // get an answer. SIGHUP ends the daemon with its terminal, as it ends every foreground program. A signal that arrives
  // twice (a terminal sends it to npm as well, which passes it on) counts once.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  const { waitUntilWritable } = await loadLibc();
  output.dropInsteadOfBlocking((fd) => waitUntilWritable(fd, 0));
  const { startApp } = await import('./app.ts');
  const { takeInheritedSockets } = await import('./kernel/inherited-sockets.ts');
  const inherited = takeInheritedSockets(process.env, process.pid);
  for (const name of FROM_SYSTEMD) delete process.env[name];
  const app = await startApp(settings, inherited, ownPackage().version, log);
  log.info('listening', { socket: app.socketPath, pid: process.pid });
  if (!toJournal) output.write(nextCommand(app));
  const signal = await stopped;
  log.info('stopping', { signal });
  await app.stop();
  log.info('stopped');
  // Without Node's shutdown: its signal handlers are gone by then, so another signal would end the process with an
  // error.
  end(EXIT.done);
}

async function salvage(settings: SalvageSettings, log: Log): Promise<void> {
  await loadLibc();
  const { salvageStore } = await import('./salvage.ts');
  salvageStore(settings, log);
  end(EXIT.done);
}

/**
 * Loads the C library. Like every module with a native addon, only after the check of Node's version: the store's addon
 * would crash a Node that is too old.
 */
async function loadLibc(): Promise<typeof Libc> {
  const libc = await import('./kernel/libc.ts');
  end = libc.endProcess;
  return libc;
}

function nextCommand({ isLocked, hasCredentials, socketPath }: App): string {
  // A client finds the socket by the variable CIO_RUNTIME_DIR, but not by the daemon's option.
  const isElsewhere = process.argv.some((word) => word.startsWith('--runtime-dir'));
  const option = isElsewhere ? ` --socket ${quoteIfNeeded(socketPath)}` : '';
  const first = hasCredentials ? 'list' : 'create aws';
  const { folder } = ownPackage();
  const isHere = currentFolder() === folder;
  const program = isHere ? 'npx cio' : quoteIfNeeded(join(folder, 'bin', 'cio'));
  const where = isHere ? 'In another terminal, in this folder' : 'In another terminal';
  return `\nReady. ${where}, type:\n\n    ${program} credential ${isLocked ? 'unlock' : first}${option}\n\n`;
}

/** Returns the working directory; undefined if it was removed. */
function currentFolder(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/** Tells the operator what went wrong, and returns the exit code. */
function report(error: unknown, purpose: string, stateDirectory: string | undefined, log: Log): number {
  if (error instanceof UsageError) {
    log.error(`${error.message}; see --help`);
    return EXIT.usage;
  }
  if (error instanceof CredentialError) {
    if (error.cause !== undefined) return report(error.cause, purpose, stateDirectory, log);
    log.error(`cannot open the store: ${error.code}`);
    return error.code === 'Damaged' ? EXIT.damaged : EXIT.failed;
  }
  if (error instanceof Error && OPERATORS_ERRORS.has(error.name)) {
    const { failure } = error as { readonly failure?: unknown };
    const next = purpose === 'start' ? nextStep(failure, error.cause) : undefined;
    // The messages of the other errors already name a path.
    const where = error.name === 'StoreError' && stateDirectory !== undefined ? `${stateDirectory}: ` : '';
    log.error(`cannot ${purpose}: ${where}${error.message}${next === undefined ? '' : `; ${next}`}`);
    return failure === 'damaged' ? EXIT.damaged : EXIT.failed;
  }
  log.error(`cannot ${purpose}: internal error`, describeDefect(error));
  return EXIT.failed;
}

/** What the operator can do about a failure of one of {@link OPERATORS_ERRORS}. */
const NEXT_STEPS: ReadonlyMap<unknown, string> = new Map([
  ['full', 'make room on the disk of the state directory'],
  ['read_only', 'make the file system of the state directory writable'],
  ['changed_by_other', 'stop the program that has credentials.db open'],
  ['damaged', 'put back a copy of credentials.db, or see what --salvage brings back: docs/disaster-recovery.md'],
  ['held', 'use that one, or stop it first; a second one needs its own --state-dir and --runtime-dir'],
]);

/** The same for a failure `io`, by the code of Node or SQLite; a mapping fails for want of support (mmap(2)). */
const NEXT_STEPS_IO: readonly (readonly [codes: RegExp, step: string])[] = [
  [/^(?:EIO$|SQLITE_IOERR(?!_SHMMAP))/, 'check the kernel log for errors of that disk'],
  [
    /^(?:EACCES|EPERM|EISDIR|ENOTDIR|SQLITE_CANTOPEN)/,
    'check what is in the state directory, and who may read and write it',
  ],
];

/** Returns what the operator can do; undefined if the message says that. */
function nextStep(failure: unknown, cause: unknown): string | undefined {
  if (failure !== 'io') return NEXT_STEPS.get(failure);
  const { code = '' } = (cause ?? {}) as NodeJS.ErrnoException;
  return NEXT_STEPS_IO.find(([codes]) => codes.test(code))?.[1];
}

/** Names of the errors whose messages are written for the operator, and quote nothing but paths and numbers. */
const OPERATORS_ERRORS: ReadonlySet<string> = new Set([
  'DirectoryLockError',
  'InheritedSocketError',
  'KeyFileError',
  'ListenError',
  'StateDirectoryError',
  'StoreError',
]);

/** Finds the package by the nearest package.json above this file: the sources and the build lie at different depths. */
function ownPackage(): { readonly folder: string; readonly version: string } {
  for (const up of ['..', '../..']) {
    const folder = join(import.meta.dirname, up);
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
        string,
        unknown
      >;
      if (name === 'cio-credentiald' && typeof version === 'string') return { folder, version };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error('the package has no package.json');
}

await main();
