import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { startDaemon } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { Service } from '../support/process.ts';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RawVarlink } from '../support/varlink.ts';
import { credentialsOf } from './calls.ts';
import type { Target } from './load.ts';

export const REPOSITORY: string = path.join(import.meta.dirname, '..', '..');

/** The Node that the launchers find, on which everything here runs. */
export const NODE: string = execFileSync(
  '/bin/sh',
  ['-c', 'package=$1; . "$package/bin/runtime.sh"; command -v "$node"', 'sh', REPOSITORY],
  { encoding: 'utf8' },
).trim();

/** The daemon as a user starts it. */
export const DAEMON_COMMAND: readonly string[] = [path.join(REPOSITORY, 'bin', 'cio-credentiald')];
export const DAEMON_ARGUMENTS: readonly string[] = ['--user'];

/** The reference in the rows about `Get`. */
export const ECHO_SERVER =
  'a server in the same Node, in a process of its own, that reads the same bytes from a Unix socket and answers each message (up to its NUL) with the bytes of the daemon’s reply; replies to one chunk are one write';
export const BYTE_ECHO_SERVER =
  'a server in the same Node, in a process of its own, that writes back the chunks that it reads';

/** The number of credentials in the rows that are not about large stores. */
export const FEW = 16;

/**
 * Starts a daemon as it is installed.
 *
 * @param stateDirectory a new one unless given
 * @param wrapper a command prefix that runs it
 */
export function startInstalledDaemon(
  scope: Scope,
  { stateDirectory, wrapper = [] }: { readonly stateDirectory?: string; readonly wrapper?: readonly string[] } = {},
): Promise<Daemon> {
  return startDaemon(scope, {
    command: [...wrapper, ...DAEMON_COMMAND],
    args: DAEMON_ARGUMENTS,
    ...(stateDirectory === undefined ? {} : { stateDirectory }),
  });
}

/** Starts the same with {@link FEW} credentials in its store. */
export async function startDaemonWithFew(scope: Scope): Promise<Daemon> {
  const daemon = await startInstalledDaemon(scope);
  await callOnce(scope, daemon, 'Create', { credentials: credentialsOf(0, FEW) });
  return daemon;
}

/** Makes one call on a connection of its own. @throws Error if the reply is an error */
export async function callOnce(
  scope: Scope,
  { socketPath }: Pick<Target, 'socketPath'>,
  method: string,
  parameters: object = {},
): Promise<Record<string, unknown>> {
  const connection = await RawVarlink.connect(scope, socketPath);
  const reply = await connection.call(`io.cio.Credentials.${method}`, parameters);
  connection.close();
  if (reply.error !== undefined) throw new Error(`${method} fails: ${reply.error}`);
  return reply.parameters ?? {};
}

/** See {@link ECHO_SERVER}; `reply` is the daemon's reply. */
export function startEchoServer(scope: Scope, reply: Buffer): Promise<Target> {
  return startReference(scope, ['reply', reply.toString('base64')]);
}

/** See {@link BYTE_ECHO_SERVER}. */
export function startByteEchoServer(scope: Scope): Promise<Target> {
  return startReference(scope, ['bytes']);
}

/** Starts a server in the same Node that answers a message with all messages of a file, one write for each. */
export function startReplayServer(scope: Scope, file: string): Promise<Target> {
  return startReference(scope, ['file', file]);
}

/** Starts a server in the same Node that answers a connection with these bytes and ends it. */
export function startOnceServer(scope: Scope, bytes: Buffer): Promise<Target> {
  return startReference(scope, ['once', bytes.toString('base64')]);
}

async function startReference(scope: Scope, mode: readonly string[]): Promise<Target> {
  const socketPath = path.join(temporaryDirectory(scope, 'cio-bench'), 'echo');
  const script = path.join(import.meta.dirname, 'echo-server.ts');
  const service = new Service(scope, [NODE, script, socketPath, ...mode]);
  await service.printed('ready');
  return { socketPath, pid: service.pid };
}
