import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { SOCKET_PATH_BYTES_MAX } from '../src/limits.ts';
import { ConnectionError, type ConnectionFailure } from './connection-error.ts';
import type { SocketCandidate } from './socket-path.ts';
import type { OpenTransport, Transport } from './transport.ts';

/** Identity of the caller, and limits of the attempt to connect. */
export interface ReachBounds {
  /** Effective uid of this process. */
  readonly uid: number;
  /** Longest wait for a place in a full accept queue, for each candidate. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A connection to the daemon, and the path by which it was found. */
export interface ReachedDaemon {
  readonly transport: Transport;
  readonly path: string;
}

/** How long to wait before connecting again to a socket whose accept queue (the backlog of listen(2)) is full. */
const BACKLOG_RETRY_MS = 20;

/** The failure for each error code of connect(2). All other codes are `failed`. */
const REASON_OF_CODE: ReadonlyMap<string, ConnectionFailure> = new Map([
  ['ENOENT', 'not_found'],
  ['ENOTDIR', 'not_found'],
  ['ECONNREFUSED', 'refused'],
  ['EPROTOTYPE', 'refused'],
  ['EACCES', 'permission'],
  ['EPERM', 'permission'],
]);

/** Failures after which the next candidate is tried. If all fail, the one that comes first in this list is thrown. */
const FAILURES_TO_SKIP: readonly ConnectionFailure[] = ['untrusted', 'path_too_long', 'refused', 'not_found'];

/**
 * Connects to the first candidate on which a process listens.
 *
 * @throws ConnectionError the first failure that is not one of {@link FAILURES_TO_SKIP}; if there is none, the most
 *   informative failure in the order of that list
 */
export async function reachDaemon(
  candidates: readonly SocketCandidate[],
  open: OpenTransport,
  bounds: ReachBounds,
): Promise<ReachedDaemon> {
  const failures: ConnectionError[] = [];
  for (const candidate of candidates) {
    try {
      return { transport: await reachCandidate(candidate, open, bounds), path: candidate.path };
    } catch (error) {
      if (!(error instanceof ConnectionError) || !FAILURES_TO_SKIP.includes(error.reason)) throw error;
      failures.push(error);
    }
  }
  for (const reason of FAILURES_TO_SKIP) {
    const failure = failures.find((error) => error.reason === reason);
    if (failure !== undefined) throw failure;
  }
  throw new RangeError('there is no place to look for the daemon');
}

async function reachCandidate(
  { path, needsOwnFolder }: SocketCandidate,
  open: OpenTransport,
  bounds: ReachBounds,
): Promise<Transport> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) throw new ConnectionError('path_too_long', path);
  const folder = needsOwnFolder ? openOwnFolder(path, bounds.uid) : undefined;
  // Connect by way of the open directory, so that it cannot be replaced between the check and the connection.
  const address = folder === undefined ? path : `/proc/self/fd/${folder}/${basename(path)}`;
  try {
    return await connectWithin(address, path, open, bounds);
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}

/** Opens the socket's directory, and checks that only this user could have put a socket there. */
function openOwnFolder(path: string, uid: number): number {
  let folder: number;
  try {
    folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    // A symbolic link fails with ELOOP or ENOTDIR, and is trusted no more than another user's directory.
    throw new ConnectionError(codeOf(error) === 'ENOENT' ? 'not_found' : 'untrusted', path, { cause: error });
  }
  const { uid: owner, mode } = fstatSync(folder);
  if (owner === uid && (mode & 0o022) === 0) return folder;
  closeSync(folder);
  throw new ConnectionError('untrusted', path);
}

async function connectWithin(
  address: string,
  path: string,
  open: OpenTransport,
  { signal, timeoutMs }: ReachBounds,
): Promise<Transport> {
  for (let waitedMs = 0; ; waitedMs += BACKLOG_RETRY_MS) {
    signal?.throwIfAborted();
    try {
      return await open(address);
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') {
        throw new ConnectionError(REASON_OF_CODE.get(codeOf(error) ?? '') ?? 'failed', path, { cause: error });
      }
      // The accept queue is full. A blocking connect(2) would wait; Node's sockets do not block.
      if (waitedMs >= timeoutMs) throw new ConnectionError('timed_out', path, { cause: error });
      const { setTimeout: delay } = process.getBuiltinModule('node:timers/promises');
      // Rejects only if it is aborted. The next round throws the signal's own reason.
      await delay(BACKLOG_RETRY_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    }
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
