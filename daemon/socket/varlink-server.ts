import { createServer, Socket } from 'node:net';
import type { Server } from 'node:net';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';

import { CredentialError } from '../../src/errors.ts';
import type { Caller } from '../access/caller.ts';
import type { Dispatch } from '../dispatch.ts';
import { SystemError, acceptConnection, hungUp, trimHeap } from '../kernel/libc.ts';
import { UnknownPeerError, descriptorOf } from '../kernel/peer.ts';
import { describeDefect } from '../log.ts';
import type { Log } from '../log.ts';
import { rateLimited } from '../rate-limited-log.ts';
import { Connection } from './connection.ts';
import { HeapTrimmer } from './heap-trimmer.ts';
import { CONNECTIONS_MAX, HELD_BYTES_PER_USER_MAX, STOP_GRACE_MS, SWEEP_INTERVAL_MS } from './limits.ts';
import { listenAt } from './listen.ts';
import type { Place } from './listen.ts';
import { CallScheduler, TURN_MS } from './call-scheduler.ts';

/** Turns of the event loop in which a stopping server still accepts the connections that are queued. */
const LAST_TURNS = 3;

/** If more time than this passed between two checks of the time-outs, this process itself was stopped. */
const SWEEP_LATE_MS: number = 3 * SWEEP_INTERVAL_MS;

/** The connections of one user, and the bytes that they hold. */
interface User {
  readonly uid: number;
  readonly isAdministrator: boolean;
  readonly connections: Set<Connection>;
  heldBytes: number;
}

/** Serves Varlink on one socket, to as many peers as the bounds allow. */
export class VarlinkServer {
  readonly #server: Server;
  readonly #identify: (socket: Socket) => Caller;
  readonly #dispatch: Dispatch;
  readonly #log: Log;
  /** For refused peers, who could otherwise fill the log by connecting again and again. */
  readonly #rateLimitedLog: Log;
  readonly #users: Map<number, User> = new Map();
  readonly #scheduler: CallScheduler = new CallScheduler();
  readonly #heapTrimmer: HeapTrimmer = new HeapTrimmer(trimHeap);
  #count = 0;
  #sweep: NodeJS.Timeout | undefined;
  /** When the time-outs were last checked; `performance.now()`. */
  #swept = 0;
  #onEmpty: (() => void) | undefined;

  /** @param identify identifies the peer of a new connection; if it throws, the connection is refused */
  constructor(identify: (socket: Socket) => Caller, dispatch: Dispatch, log: Log) {
    this.#identify = identify;
    this.#dispatch = dispatch;
    this.#log = log;
    this.#rateLimitedLog = rateLimited(log);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#accept(socket);
      this.#acceptOthers();
    });
  }

  /** @throws ListenError */
  async listen(place: Place, isPublic: boolean): Promise<void> {
    await listenAt(this.#server, place, isPublic);
    this.#server.on('error', (error) => this.#log.error('a connection could not be accepted', describeDefect(error)));
    this.#swept = performance.now();
    this.#sweep = setInterval(() => this.#checkTimes(), SWEEP_INTERVAL_MS).unref();
  }

  /** Stops accepting, answers the calls already received, and returns when all peers have left or run out of time. */
  async stop(): Promise<void> {
    // Peers accepted by now are answered. Later ones wait for the next daemon, if systemd keeps the socket.
    for (let turn = 0; turn < LAST_TURNS; turn += 1) await nextTurn();
    this.#server.close();
    if (this.#count > 0) await pause(STOP_GRACE_MS);
    if (this.#count > 0) {
      const isEmpty = new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
      // The sweep ends peers that take too long. It may be all that keeps this process alive.
      this.#sweep?.ref();
      this.#each((connection) => connection.finish());
      await isEmpty;
    }
    clearInterval(this.#sweep);
  }

  /**
   * Ends connections that are over their time-outs. Ends none after this process was stopped itself (SIGSTOP, a frozen
   * cgroup): the peers were not slow, and what they sent and read meanwhile is seen only after this check, before the
   * next.
   */
  #checkTimes(): void {
    const now = performance.now();
    const wasSuspended = now - this.#swept > SWEEP_LATE_MS;
    this.#swept = now;
    if (!wasSuspended) this.#each((connection) => connection.checkTimes(now));
  }

  /**
   * Accepts the connections that are queued behind the first. Node accepts one in each turn of the event loop, and a
   * turn may be 50 ms or more of one user's writes: a peer behind hundreds of that user's connections would wait as
   * many turns.
   */
  #acceptOthers(): void {
    const listener = descriptorOf(this.#server);
    const end = performance.now() + TURN_MS;
    while (performance.now() < end) {
      const fd = nextConnection(listener);
      if (fd === undefined) return;
      this.#accept(new Socket({ fd, allowHalfOpen: true, readable: true, writable: true }));
    }
  }

  #accept(socket: Socket): void {
    let caller: Caller;
    try {
      caller = this.#identify(socket);
    } catch (error) {
      socket.destroy();
      const reason = error instanceof UnknownPeerError ? { reason: error.message } : describeDefect(error);
      this.#rateLimitedLog.warning('a connection was refused: the peer cannot be identified', reason);
      return;
    }
    const user = this.#users.get(caller.uid) ?? newUser(caller);
    this.#users.set(caller.uid, user);
    const events = {
      onHeld: (difference: number) => this.#hold(user, difference),
      onDefect: (error: unknown) => this.#log.error('a connection failed: internal error', describeDefect(error)),
      onClosed: (closed: Connection) => this.#remove(user, closed),
      onLongCall: () => this.#heapTrimmer.noteLongCall(),
    };
    const connection = new Connection(socket, caller, this.#dispatch, events, this.#scheduler);
    user.connections.add(connection);
    this.#count += 1;
    this.#heapTrimmer.noteConnections(this.#count);
    if (this.#count > CONNECTIONS_MAX) this.#evictOne(connection);
  }

  /**
   * Closes a connection of the user who has the most, so that nobody can keep others out by opening many: one whose
   * peer left before its answers were written, or the longest idle one. If all of them are ending, the one that has been
   * ending for longest is closed for another user. A connection of an administrator is closed neither for an ordinary
   * user, nor while ordinary users have more than half of the connections.
   */
  #evictOne(newest: Connection): void {
    // `#count` includes connections closed in this turn of the event loop until the turn ends.
    let closed = 0;
    this.#each(({ descriptor }) => (closed += descriptor === undefined ? 1 : 0));
    if (this.#count - closed <= CONNECTIONS_MAX) return;
    const users = [...this.#users.values()];
    const ordinary = users.filter(({ isAdministrator }) => !isAdministrator);
    const ordinaryCount = ordinary.reduce((sum, { connections }) => sum + connections.size, 0);
    const areAdministratorsSpared = !newest.caller.isAdministrator || ordinaryCount > CONNECTIONS_MAX / 2;
    const eligible = areAdministratorsSpared ? ordinary : users;
    const largest = eligible.reduce((most, next) => (next.connections.size >= most.connections.size ? next : most));
    const others = [...largest.connections].filter(
      (connection) => connection !== newest && connection.descriptor !== undefined,
    );
    const open = others.filter((connection) => !connection.isEnding);
    const left = open.find(haveLeft(open));
    if (left !== undefined) {
      left.destroy();
      return;
    }
    const idle = open.filter((connection) => connection.isIdle);
    const isAmongThem = largest.connections.has(newest);
    if (open.length === 0 && others.length > 0 && !isAmongThem) {
      longestEnding(others).destroy();
      return;
    }
    const candidates = idle.length > 0 ? idle : isAmongThem || open.length === 0 ? [newest] : open;
    const victim = candidates.reduce((oldest, next) => (next.lastActive < oldest.lastActive ? next : oldest));
    victim.refuse(new CredentialError('Busy', {}));
  }

  #remove(user: User, connection: Connection): void {
    if (!user.connections.delete(connection)) return;
    this.#forgetIfGone(user);
    this.#count -= 1;
    this.#heapTrimmer.noteConnections(this.#count);
    if (this.#count === 0) this.#onEmpty?.();
  }

  /**
   * Adds to the bytes that a user's connections hold; if they are too many, sheds the connection that holds the most.
   */
  #hold(user: User, difference: number): void {
    user.heldBytes += difference;
    this.#forgetIfGone(user);
    if (user.heldBytes <= HELD_BYTES_PER_USER_MAX || difference <= 0) return;
    const open = [...user.connections].filter((connection) => !connection.isEnding);
    if (open.length === 0) return;
    open.reduce((most, next) => (next.heldBytes > most.heldBytes ? next : most)).shed(new CredentialError('Busy', {}));
  }

  #forgetIfGone(user: User): void {
    if (user.connections.size === 0 && user.heldBytes === 0) this.#users.delete(user.uid);
  }

  #each(work: (connection: Connection) => void): void {
    for (const { connections } of this.#users.values()) for (const connection of connections) work(connection);
  }
}

/**
 * Accepts the next queued connection. Undefined if there is none, and also if no file descriptor is left for it: Node
 * then deals with the queue.
 */
function nextConnection(listener: number): number | undefined {
  try {
    return acceptConnection(listener);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

/** Returns a predicate for connections whose peers have left. The kernel is asked once for all of them. */
function haveLeft(connections: readonly Connection[]): (connection: Connection) => boolean {
  const gone = new Set<number | undefined>(hungUp(connections.flatMap(({ descriptor }) => descriptor ?? [])));
  return ({ descriptor }) => gone.has(descriptor);
}

/** Returns the one of some ending connections that has been ending for longest. */
function longestEnding(connections: readonly Connection[]): Connection {
  return connections.reduce((longest, next) => ((next.endingSince ?? 0) < (longest.endingSince ?? 0) ? next : longest));
}

function newUser({ uid, isAdministrator }: Caller): User {
  return { uid, isAdministrator, connections: new Set(), heldBytes: 0 };
}
