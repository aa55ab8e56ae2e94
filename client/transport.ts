import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SOCKET_PATH_BYTES_MAX } from '../src/limits.ts';
import { ConnectionError, type ConnectionFailure } from './connection-error.ts';
import type { SocketCandidate } from './socket-path.ts';

/** What bounds the time that a connection may take. */
export interface ConnectBounds {
  readonly uid: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A socket to the daemon, and the path by which it was found. */
export interface OpenSocket {
  readonly socket: Socket;
  readonly path: string;
}

/** How long to wait before a full queue of connections (listen(2)) is tried again. */
const BACKLOG_RETRY_MS = 20;

/** What the errors of connect(2) mean here; all others are `failed`. */
const REASON_OF_CODE: ReadonlyMap<string, ConnectionFailure> = new Map([
  ['ENOENT', 'not_found'],
  ['ENOTDIR', 'not_found'],
  ['ECONNREFUSED', 'refused'],
  ['EPROTOTYPE', 'refused'],
  ['EACCES', 'permission'],
  ['EPERM', 'permission'],
]);

/** Failures after which the next place is tried, the most telling one first. */
const PASSED_OVER: readonly ConnectionFailure[] = ['untrusted', 'path_too_long', 'refused', 'not_found'];

/**
 * Connects to the first place where somebody listens.
 *
 * @throws ConnectionError the first failure that is more than "nobody is here", else the most telling one
 */
export async function openSocket(candidates: readonly SocketCandidate[], bounds: ConnectBounds): Promise<OpenSocket> {
  const deadline = performance.now() + bounds.timeoutMs;
  const failures: ConnectionError[] = [];
  for (const candidate of candidates) {
    try {
      return { socket: await openCandidate(candidate, bounds, deadline), path: candidate.path };
    } catch (error) {
      if (!(error instanceof ConnectionError) || !PASSED_OVER.includes(error.reason)) throw error;
      failures.push(error);
    }
  }
  for (const reason of PASSED_OVER) {
    const failure = failures.find((error) => error.reason === reason);
    if (failure !== undefined) throw failure;
  }
  throw new RangeError('there is no place to look for the daemon');
}

async function openCandidate(candidate: SocketCandidate, bounds: ConnectBounds, deadline: number): Promise<Socket> {
  const { path } = candidate;
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) throw new ConnectionError('path_too_long', path);
  const folder = candidate.needsOwnFolder ? openOwnFolder(path, bounds.uid) : undefined;
  try {
    // By way of the open folder: nobody can put another one in its place between the check and the connection.
    return await connectWithin(
      folder === undefined ? path : `/proc/self/fd/${folder}/${basename(path)}`,
      path,
      bounds,
      deadline,
    );
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}

/** Opens the socket's folder; only the caller may be able to put something there. */
function openOwnFolder(path: string, uid: number): number {
  let folder: number;
  try {
    folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    // A symbolic link is ELOOP or ENOTDIR here, and as little to be trusted as a folder of somebody else.
    if (codeOf(error) === 'ENOENT') throw new ConnectionError('not_found', path, { cause: error });
    throw new ConnectionError('untrusted', path, { cause: error });
  }
  const { uid: owner, mode } = fstatSync(folder);
  if (owner === uid && (mode & 0o022) === 0) return folder;
  closeSync(folder);
  throw new ConnectionError('untrusted', path);
}

async function connectWithin(
  address: string,
  path: string,
  { signal, timeoutMs }: ConnectBounds,
  deadline: number,
): Promise<Socket> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await connectOnce(address);
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw new ConnectionError(reasonOf(error), path, { cause: error });
      // The queue of the listener is full. connect(2) would wait here, if Node let it.
      if (performance.now() + BACKLOG_RETRY_MS > deadline) {
        throw new ConnectionError('timed_out', path, { cause: error, detail: `${timeoutMs} ms` });
      }
      await delay(BACKLOG_RETRY_MS, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** A Unix socket connects at once or not at all: there is nothing to wait for, and so no timer. */
function connectOnce(address: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: address });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

function reasonOf(error: unknown): ConnectionFailure {
  return REASON_OF_CODE.get(codeOf(error) ?? '') ?? 'failed';
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
