import { chmodSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';

import { SOCKET_PATH_BYTES_MAX } from '../../src/limits.ts';
import type { InheritedSocket } from '../kernel/inherited-sockets.ts';
import { duplicate } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import { makeDirectories } from '../make-directories.ts';
import { describeSystemError } from '../system-error.ts';

/** Connections that wait to be accepted; the kernel allows no more than `net.core.somaxconn`. */
const BACKLOG = 4096;

/** Where a server listens: on a path of its own, or on a socket on which systemd listens already. */
export type Place = { readonly path: string } | InheritedSocket;

/** Why the daemon cannot listen, for the operator. */
export class ListenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
  }
}

/**
 * Makes the directory of the sockets, or checks an existing one: other users who may write to it could put a socket of
 * their own in place of the daemon's.
 *
 * @param isPublic whether other users may connect to the sockets
 * @throws ListenError
 */
export function prepareRuntimeDirectory(path: string, isPublic: boolean): void {
  let stat: Stats;
  try {
    const made = makeDirectories(path, isPublic ? 0o755 : 0o700);
    // mkdir(2) applies the umask to the mode. The directory is new, so nothing is in it yet.
    if (made !== undefined && isPublic) chmodSync(path, 0o755);
    stat = lstatSync(path);
  } catch (error) {
    throw new ListenError(`cannot make the runtime directory ${path}: ${describeSystemError(error)}`, {
      cause: error,
    });
  }
  if (!stat.isDirectory()) throw new ListenError(`${path} is not a directory`);
  if (stat.uid !== process.geteuid?.() && stat.uid !== 0) {
    throw new ListenError(`the runtime directory ${path} belongs to another user (uid ${stat.uid})`);
  }
  if ((stat.mode & 0o022) !== 0) {
    throw new ListenError(`others may write to the runtime directory ${path}; fix it with: chmod go-w ${path}`);
  }
}

/** @throws ListenError if a socket's path is longer than the kernel takes; Node would truncate it silently */
export function checkSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= SOCKET_PATH_BYTES_MAX) return;
  throw new ListenError(
    `the socket path ${path} is ${length} bytes long, ${SOCKET_PATH_BYTES_MAX} are allowed; choose a shorter --runtime-dir`,
  );
}

/** @throws ListenError */
export async function listenAt(server: Server, place: Place, isPublic: boolean): Promise<void> {
  if ('path' in place) await listenOn(server, place.path, isPublic);
  else await listen(server, { fd: place.fd }, `the socket ${place.name}`);
}

/**
 * Listens on a Unix socket whose mode is right from the start: set by the umask during bind(2), not by a later
 * chmod(2). A stale socket that nobody listens on is removed first; the caller holds the lock of the directory.
 *
 * @throws ListenError
 */
export async function listenOn(server: Server, path: string, isPublic: boolean): Promise<void> {
  checkSocketPath(path);
  await removeStaleSocket(path);
  const previous = process.umask(isPublic ? 0o111 : 0o177);
  try {
    const listening = listen(server, { path }, path);
    // Node has called bind(2) by now.
    process.umask(previous);
    await listening;
  } finally {
    process.umask(previous);
  }
}

/**
 * Returns a file descriptor that listens on a path, for the daemon's own user only, and from which Node does not
 * accept: when the process is out of descriptors, Node accepts a connection and closes it at once, which systemd takes
 * for an empty secret. The caller closes the descriptor and removes the path.
 *
 * @throws ListenError
 */
export async function listenByHand(path: string): Promise<number> {
  const server = createServer();
  await listenOn(server, path, false);
  // Closing the server unlinks its path, so the socket is moved aside for that. The server has accepted no connection,
  // since the event loop has not turned.
  const aside = `${path}~`;
  renameSync(path, aside);
  try {
    return duplicate(descriptorOf(server));
  } finally {
    server.close();
    renameSync(aside, path);
  }
}

async function listen(server: Server, where: { path: string } | { fd: number }, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  // The backlog is an argument of its own: with a descriptor, Node ignores it in the options.
  server.listen(where, BACKLOG, resolve);
  try {
    await promise;
  } catch (error) {
    throw new ListenError(`cannot listen on ${name}: ${describeSystemError(error)}`, { cause: error });
  }
  server.off('error', reject);
}

async function removeStaleSocket(path: string): Promise<void> {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (!stat.isSocket()) throw new ListenError(`${path} exists already and is not a socket`);
    if (await isAnswering(path)) throw new ListenError(`another program listens on ${path}`);
    unlinkSync(path);
  } catch (error) {
    if (error instanceof ListenError) throw error;
    throw new ListenError(`cannot remove the old socket ${path}: ${describeSystemError(error)}`, { cause: error });
  }
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
