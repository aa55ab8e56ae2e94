import { randomBytes } from 'node:crypto';
import { closeSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';

import type { InheritedSocket } from '../kernel/inherited-sockets.ts';
import { SystemError, connectedPair, hungUp } from '../kernel/libc.ts';
import { UnknownPeerError } from '../kernel/peer.ts';
import type { ServiceManager } from '../kernel/service-manager.ts';
import { describeDefect } from '../log.ts';
import type { Log } from '../log.ts';
import { rateLimited } from '../rate-limited-log.ts';
import type { Place } from '../socket/listen.ts';
import { ListenError, listenByHand } from '../socket/listen.ts';
import { describeSystemError } from '../system-error.ts';
import { wipe } from '../vault/sodium.ts';
import type { LoadRequest } from './address.ts';
import type { LoadAnswer, RefusalReason } from './answer.ts';
import { Acceptor } from './acceptor.ts';
import { LoadConnection } from './load-connection.ts';
import type { StoredCopy } from './load-connection.ts';
import { UntrustedPeerError } from './authenticate-request.ts';
import type { LoadWire } from './wire.ts';

/** Most units that wait at a time; systemd keeps more than twice as many connections (`FileDescriptorStoreMax=`). */
export const WAITING_MAX = 48;

/**
 * Most connections of peers that are not systemd, or do not look like it, that have a place in systemd's descriptor
 * store while they read their answers slowly. For one more, the oldest gives up its place, so that a kill would cut it
 * off.
 */
const UNTRUSTED_STORED_MAX = 48;

/** Most such connections at all; for one more, the oldest is closed. The kernel holds some 200 KiB of each. */
const UNTRUSTED_MAX = 256;

/** How soon after a change waiting units are checked again; changes in quick succession count as one. */
const RECHECK_MS = 10;

/** How often waiting peers are checked for having gone away. */
const SWEEP_INTERVAL_MS = 1000;

/** How long a stopping daemon waits for its last answers to be read: an answer that is cut off is a wrong secret. */
const STOP_TIME_MAX_S = 20;

/** What a LOAD server needs. */
export interface LoadParts {
  readonly wire: LoadWire;
  readonly manager: ServiceManager;
  readonly log: Log;
  /** Returns what systemd asks for on this connection. @throws Error if the peer is not believed to be systemd */
  identify(socket: Socket): LoadRequest;
  /** Returns the answer as it is now. */
  answer(request: LoadRequest): LoadAnswer;
}

/**
 * Serves systemd's `LoadCredential=` on one socket (systemd.exec(5)): each connection gets one answer.
 *
 * Nothing is awaited between a connection and its answer. As systemd takes the end of a connection for an answer, the
 * service manager gets a copy of it before anything else happens. Without a copy, no unit is made to wait.
 */
export class LoadServer {
  readonly #parts: LoadParts;
  /** Distinguishes the names that this process gives from those of others. */
  readonly #process: string = randomBytes(8).toString('hex');
  #count = 0;
  /** Name of the next connection, made in advance. */
  #nextName = '';
  readonly #waiting: Set<LoadConnection> = new Set();
  /** Connections whose peers have not read all of their answers. */
  readonly #unread: Set<LoadConnection> = new Set();
  #acceptor: Acceptor | undefined;
  /** Path of the socket, if the daemon made it itself. */
  #path: string | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #onDone: (() => void) | undefined;

  constructor(parts: LoadParts) {
    this.#parts = parts;
  }

  /** How many units wait for something that does not exist yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** @throws ListenError */
  async listen(place: Place): Promise<void> {
    const log = rateLimited(this.#parts.log);
    try {
      const fd = 'path' in place ? await listenByHand(place.path) : place.fd;
      if ('path' in place) this.#path = place.path;
      this.#warmUp();
      this.#acceptor = new Acceptor(
        fd,
        () => this.#prepare(),
        (connection) => {
          const copy = this.#storeCopy(connection);
          this.#serve(connection, copy);
        },
        (error) =>
          log.error('a unit waits, but its connection cannot be accepted', { reason: describeSystemError(error) }),
      );
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new ListenError(`cannot serve units: ${describeSystemError(error)}`, { cause: error });
    }
  }

  /** Tells whether a connection from the service manager's store belongs to this socket. */
  owns({ name }: InheritedSocket): boolean {
    return name.startsWith(this.#namePrefix);
  }

  /** Takes over a connection that another process left with the service manager. */
  adopt({ fd, name }: InheritedSocket): void {
    this.#serve(fd, { name, isStored: true });
  }

  /** To be called after a change: what units wait for may exist now. */
  recheck(): void {
    if (this.#waiting.size === 0) return;
    this.#recheck ??= setTimeout(() => {
      this.#recheck = undefined;
      for (const connection of this.#waiting) this.#answer(connection);
    }, RECHECK_MS);
  }

  /** Refuses the units that wait, and returns when all answers were read or time has run out. */
  async stop(): Promise<void> {
    clearTimeout(this.#recheck);
    this.#acceptor?.close();
    for (const connection of this.#waiting) this.#refuseLast(connection);
    if (this.#path !== undefined) removeIfPossible(this.#path);
    if (this.#unread.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onDone = resolve;
      let seconds = 0;
      // Counts ticks and not time: while this process is stopped, it cannot see what peers read.
      const clock = setInterval(() => {
        seconds += 1;
        if (seconds === STOP_TIME_MAX_S) resolve();
      }, 1000);
      await promise;
      clearInterval(clock);
    }
    // If the daemon is started again, the next process takes these connections over, and sees that their answers were
    // begun.
    if (this.#unread.size > 0) {
      this.#parts.log.error('a unit did not read its answer to the end', { units: this.#unread.size });
    }
    clearInterval(this.#sweep);
  }

  /** Does not throw: if one refusal fails, the others are still made. */
  #refuseLast(connection: LoadConnection): void {
    try {
      this.#refuse(connection, 'stopping');
    } catch (error) {
      this.#parts.log.error('a unit that waits could not be refused', describeDefect(error));
    }
  }

  /** Does in advance what would otherwise take time between accepting a connection and copying it. */
  #prepare(): void {
    this.#nextName = this.#newName();
    this.#parts.manager.pingWatchdog();
  }

  /** Leaves a copy of a new connection with the service manager, so that a kill does not end the connection. */
  #storeCopy(fd: number): StoredCopy {
    const isStored = this.#parts.manager.storeDescriptor(fd, this.#nextName);
    return { name: this.#nextName, isStored };
  }

  /** Runs what the first connection will need: code is much slower on its first run, and then no unit waits for it. */
  #warmUp(): void {
    const pair = connectedPair();
    this.#prepare();
    const { name, isStored } = this.#storeCopy(pair[0]);
    if (isStored) this.#parts.manager.removeDescriptor(name);
    for (const fd of pair) closeSync(fd);
  }

  #serve(fd: number, copy: StoredCopy): void {
    // Peers close their own half at once, which is not the end of the connection.
    const connection = this.#connect(new Socket({ fd, allowHalfOpen: true }), copy);
    if (connection.request === undefined) this.#finish(connection, this.#parts.wire.refusal);
    else if (connection.isBegun) this.#refuse(connection, 'interrupted');
    else this.#answer(connection);
  }

  #connect(socket: Socket, copy: StoredCopy): LoadConnection {
    const { manager, log } = this.#parts;
    let request: LoadRequest | undefined;
    try {
      request = this.#parts.identify(socket);
    } catch (error) {
      const isUntrusted = error instanceof UntrustedPeerError || error instanceof UnknownPeerError;
      const reason = isUntrusted ? { reason: error.message } : describeDefect(error);
      log.warning('a peer that is not systemd was refused a credential', reason);
    }
    return new LoadConnection(socket, request, manager, copy);
  }

  #newName(): string {
    this.#count += 1;
    return `${this.#namePrefix}${this.#process}.${this.#count}`;
  }

  /** Answers what can be answered now. */
  #answer(connection: LoadConnection): void {
    const { request } = connection;
    if (request === undefined) return;
    let answer: LoadAnswer;
    try {
      answer = this.#encode(request, this.#parts.answer(request));
    } catch (error) {
      this.#parts.log.error('an answer failed: internal error', describeDefect(error));
      this.#refuse(connection, 'InternalError');
      return;
    }
    if (answer.kind === 'waits') {
      this.#wait(connection, request);
    } else if (answer.kind === 'refused') {
      this.#refuse(connection, answer.reason);
    } else {
      const { bytes } = answer;
      this.#finish(connection, bytes, () => wipe(bytes));
    }
  }

  /**
   * Returns an answer with its value encoded, and wipes the value itself. One that systemd would not take, or would take
   * for no secret at all, is refused.
   */
  #encode({ id }: LoadRequest, answer: LoadAnswer): LoadAnswer {
    if (answer.kind !== 'value') return answer;
    try {
      if (answer.bytes.length === 0) return { kind: 'refused', reason: 'empty' };
      const bytes = this.#parts.wire.encode(id, answer.bytes);
      return bytes === undefined ? { kind: 'refused', reason: 'TooLarge' } : { kind: 'value', bytes };
    } finally {
      wipe(answer.bytes);
    }
  }

  #refuse(connection: LoadConnection, reason: RefusalReason | ServerRefusal): void {
    const { unit, id } = connection.request ?? {};
    this.#parts.log.warning('a unit was refused a credential', {
      reason,
      ...(unit === undefined || id === undefined ? {} : { unit, credential: id }),
    });
    this.#finish(connection, this.#parts.wire.refusal);
  }

  #finish(connection: LoadConnection, bytes: Uint8Array, onDone: () => void = () => undefined): void {
    this.#waiting.delete(connection);
    this.#unread.add(connection);
    if (connection.request === undefined) this.#limitUntrusted();
    // Tried again if systemd could not take the copy at first: the answer may be longer than the socket can hold.
    connection.storeCopy();
    connection.answer(bytes, () => {
      onDone();
      this.#unread.delete(connection);
      if (this.#unread.size === 0) this.#onDone?.();
    });
  }

  #wait(connection: LoadConnection, { unit, id }: LoadRequest): void {
    if (this.#waiting.has(connection)) return;
    if (this.#waiting.size >= WAITING_MAX) {
      this.#refuse(connection, 'Busy');
      return;
    }
    if (!connection.storeCopy(true)) {
      this.#refuse(connection, 'not_kept_by_systemd');
      return;
    }
    this.#waiting.add(connection);
    this.#parts.log.info('a unit waits for a credential', { unit, credential: id });
    this.#sweep ??= setInterval(() => this.#dropDisconnected(), SWEEP_INTERVAL_MS).unref();
  }

  /**
   * Limits unread answers to peers that are not systemd: such a peer may never read its answer, while systemd does.
   */
  #limitUntrusted(): void {
    const untrusted = [...this.#unread].filter(({ request }) => request === undefined);
    const [oldest] = untrusted;
    if (oldest !== undefined && untrusted.length > UNTRUSTED_MAX) {
      // Its 'close' event comes later, and more such peers may come in this turn of the event loop.
      this.#unread.delete(oldest);
      oldest.drop();
    }
    untrusted.at(-1 - UNTRUSTED_STORED_MAX)?.removeCopy();
  }

  #dropDisconnected(): void {
    if (this.#waiting.size === 0) return;
    const gone = new Set(hungUp([...this.#waiting].map(({ fd }) => fd)));
    for (const connection of this.#waiting) {
      if (!gone.has(connection.fd)) continue;
      this.#waiting.delete(connection);
      connection.drop();
    }
  }

  get #namePrefix(): string {
    return `load.${this.#parts.wire.name}.`;
  }
}

/** Removes the socket's path, if possible. If it is left behind, the next process removes it. */
function removeIfPossible(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has removed it, or made its folder read-only.
  }
}

/** Reasons that lie with the server and not with the store. */
type ServerRefusal = 'stopping' | 'interrupted' | 'not_kept_by_systemd';
