import { readFileSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';

import { CredentialError, EXIT } from '../src/errors.ts';
import { homeDirectory } from '../src/home-directory.ts';
import { createLog, describeDefect } from './log.ts';
import type { Log } from './log.ts';
import { USAGE, UsageError, parseSettings } from './settings.ts';
import type { Settings } from './settings.ts';

const NODE_MAJOR_MIN = 24;
const STDERR = 2;

/** What systemd tells this process alone. */
const FROM_SYSTEMD = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

async function main(): Promise<void> {
  const log = createLog(writeAll, process.env['JOURNAL_STREAM'] !== undefined);
  if (Number(process.versions.node.split('.', 1)[0]) < NODE_MAJOR_MIN) {
    log.error(`Node ${NODE_MAJOR_MIN} or newer is needed, this is ${process.versions.node}; start it with: npm start`);
    process.exit(EXIT.failed);
  }
  // Node's own report would show the error's message and a line of the program.
  process.on('uncaughtException', (error) => {
    log.error('ended by a defect', describeDefect(error));
    process.exit(EXIT.failed);
  });
  process.umask(0o077);
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
    if (command.kind === 'run') await run(command.settings, log);
    else process.stdout.write(command.kind === 'help' ? USAGE : `${packageVersion()}\n`);
  } catch (error) {
    process.exitCode = report(error, log);
  }
}

/** Serves until a signal says stop. */
async function run(settings: Settings, log: Log): Promise<void> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<NodeJS.Signals>();
  // Before anything that takes time: a unit may wait at a connection that systemd kept for us, and must be told. A terminal
  // that closes takes the daemon with it, as it takes every program in its foreground. A signal that comes twice (a
  // terminal sends it to npm as well, which passes it on) is one.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  // Loaded only now: on a Node that is too old the store's module would crash the process.
  const { startApp } = await import('./app.ts');
  const { takeInheritedSockets } = await import('./kernel/inherited-sockets.ts');
  const inherited = takeInheritedSockets(process.env, process.pid);
  for (const name of FROM_SYSTEMD) delete process.env[name];
  const app = await startApp(settings, inherited, packageVersion(), log);
  log.info('listening', { socket: app.socketPath, pid: process.pid });
  if (!settings.isJournal) writeAll(nextCommand(settings, app.isLocked));
  const signal = await stopped;
  log.info('stopping', { signal });
  await app.stop();
  log.info('stopped');
}

function nextCommand(settings: Settings, isLocked: boolean): string {
  const socket = process.argv.some((word) => word.startsWith('--runtime-dir'));
  const option = socket ? ` --socket ${settings.runtimeDirectory}/io.cio.Credentials` : '';
  const next = isLocked ? 'unlock' : 'create cio_aws_backup_repo s3:https://s3.amazonaws.com/backup-123';
  return `\nReady. In another terminal, in this folder, type:\n\n    npx cio credential ${next}${option}\n\n`;
}

/** Tells the operator what went wrong, and returns the exit code. */
function report(error: unknown, log: Log): number {
  if (error instanceof UsageError) {
    log.error(`${error.message}; see --help`);
    return EXIT.usage;
  }
  if (error instanceof CredentialError) {
    log.error(`cannot open the store: ${error.code}`);
    return error.code === 'Damaged' ? EXIT.damaged : EXIT.failed;
  }
  if (error instanceof Error && OPERATORS_ERRORS.has(error.name)) {
    const isDamaged = (error as { readonly failure?: unknown }).failure === 'damaged';
    log.error(`cannot start: ${error.message}${isDamaged ? '; put back a copy of credentials.db' : ''}`);
    return isDamaged ? EXIT.damaged : EXIT.failed;
  }
  log.error('cannot start: a defect', describeDefect(error));
  return EXIT.failed;
}

/** Errors whose messages are made for the operator and quote nothing but paths and numbers. */
const OPERATORS_ERRORS: ReadonlySet<string> = new Set([
  'DirectoryLockError',
  'InheritedSocketError',
  'KeyFileError',
  'ListenError',
  'StateDirectoryError',
  'StoreError',
]);

/** The version of the package, from the nearest package.json above: the sources and the build lie at different depths. */
function packageVersion(): string {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as Record<
        string,
        unknown
      >;
      if (name === 'cio-credentiald' && typeof version === 'string') return version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error('the package has no package.json');
}

/** Writes at once, so that a line is out before the process ends; a reader who is gone is no reason to stop serving. */
function writeAll(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch (error) {
    if (!['EPIPE', 'EAGAIN', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

await main();
