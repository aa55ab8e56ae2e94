import { randomBytes } from 'node:crypto';
import { closeSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';

import type { InheritedSocket } from '../kernel/inherited-sockets.ts';
import { SystemError, connectedPair, hungUp } from '../kernel/libc.ts';
import { UnknownPeerError } from '../kernel/peer.ts';
import type { ServiceManager } from '../kernel/service-manager.ts';
import { describeDefect } from '../log.ts';
import type { Log } from '../log.ts';
import { seldom } from '../seldom.ts';
import type { Place } from '../socket/listen.ts';
import { ListenError, listenByHand } from '../socket/listen.ts';
import { describeSystemError } from '../system-error.ts';
import { wipe } from '../vault/sodium.ts';
import type { LoadRequest } from './address.ts';
import type { LoadAnswer, RefusalReason } from './answer.ts';
import { Acceptor } from './acceptor.ts';
import { LoadConnection } from './load-connection.ts';
import type { Copy } from './load-connection.ts';
import { NotBelievedError } from './requester.ts';
import type { LoadWire } from './wire.ts';

/** Most starts that wait; the unit lets systemd keep more than twice as many (`FileDescriptorStoreMax=`). */
export const WAITING_MAX = 48;

/**
 * Most answers to peers that are not systemd, or do not look like it, that have a place in systemd's store while they are slow to
 * be read. For one more, the oldest gives its place back: then only a kill would cut it off.
 */
const STRANGERS_KEPT_MAX = 48;

/** Most of them at all; for one more, the oldest is cut off. The kernel holds some 200 KiB of each. */
const STRANGERS_MAX = 256;

/** How soon after a change waiting units are looked at again: changes that come in a row are one. */
const RECHECK_MS = 10;

/** How often waiting peers are checked for having gone away. */
const SWEEP_INTERVAL_MS = 1000;

/** How long a stopping daemon waits for its last answers to be read: one that is cut off is a wrong secret. */
const STOP_TIME_MAX_S = 20;

/** What a LOAD server works with. */
export interface LoadParts {
  readonly wire: LoadWire;
  readonly manager: ServiceManager;
  readonly log: Log;
  /** What systemd asks for at this connection. @throws Error where the peer is not believed */
  identify(socket: Socket): LoadRequest;
  /** The answer, as it is now. */
  answer(request: LoadRequest): LoadAnswer;
}

/**
 * Serves systemd's `LoadCredential=` on one socket (systemd.exec(5)): whoever connects gets one answer.
 *
 * From the connection to its answer nothing is awaited. Where the end of a connection would be taken for an answer, the
 * service manager gets a copy of it before anything else happens; without one, no unit is let wait.
 */
export class LoadServer {
  readonly #parts: LoadParts;
  /** Tells the names of this process from those of others. */
  readonly #process: string = randomBytes(8).toString('hex');
  #count = 0;
  /** Made before it is needed. */
  #nextName = '';
  readonly #waiting: Set<LoadConnection> = new Set();
  /** Connections whose peers have not read all of their answers. */
  readonly #unread: Set<LoadConnection> = new Set();
  #acceptor: Acceptor | undefined;
  /** Of a socket that is its own. */
  #path: string | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #onDone: (() => void) | undefined;

  constructor(parts: LoadParts) {
    this.#parts = parts;
  }

  /** How many units wait for what is not there yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** @throws ListenError */
  async listen(place: Place): Promise<void> {
    const log = seldom(this.#parts.log);
    try {
      const fd = 'path' in place ? await listenByHand(place.path) : place.fd;
      if ('path' in place) this.#path = place.path;
      this.#rehearse();
      this.#acceptor = new Acceptor(
        fd,
        () => this.#prepare(),
        (connection) => {
          const copy = this.#keep(connection);
          this.#take(connection, copy);
        },
        (error) => log.error('a unit waits to be accepted', { reason: describeSystemError(error) }),
      );
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new ListenError(`cannot serve units: ${describeSystemError(error)}`, { cause: error });
    }
  }

  /** Tells whether a connection from the service manager's store was one of this socket's. */
  owns({ name }: InheritedSocket): boolean {
    return name.startsWith(this.#namePrefix);
  }

  /** Takes over a connection that another process left with the service manager. */
  adopt({ fd, name }: InheritedSocket): void {
    this.#take(fd, { name, isKept: true });
  }

  /** Something changed: what waits may be there now. */
  recheck(): void {
    if (this.#waiting.size === 0) return;
    this.#recheck ??= setTimeout(() => {
      this.#recheck = undefined;
      for (const connection of this.#waiting) this.#answer(connection);
    }, RECHECK_MS);
  }

  /** Refuses whoever waits, and returns when the answers were read or there was time enough. */
  async stop(): Promise<void> {
    clearTimeout(this.#recheck);
    this.#acceptor?.close();
    for (const connection of this.#waiting) this.#refuseLast(connection);
    if (this.#path !== undefined) removeIfPossible(this.#path);
    if (this.#unread.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onDone = resolve;
      let seconds = 0;
      // Where this process stands still meanwhile, that is one tick: what peers read then is seen only after it.
      const clock = setInterval(() => {
        seconds += 1;
        if (seconds === STOP_TIME_MAX_S) resolve();
      }, 1000);
      await promise;
      clearInterval(clock);
    }
    // Where the daemon is started again, the next process takes them up and sees that their answers were begun.
    if (this.#unread.size > 0) {
      this.#parts.log.error('a unit did not read its answer to the end', { units: this.#unread.size });
    }
    clearInterval(this.#sweep);
  }

  /** Does not throw: whatever goes wrong with one, the others are refused too. */
  #refuseLast(connection: LoadConnection): void {
    try {
      this.#refuse(connection, 'stopping');
    } catch (error) {
      this.#parts.log.error('a unit that waits could not be refused', describeDefect(error));
    }
  }

  /** Does ahead of a connection what would otherwise take time between accepting it and copying it. */
  #prepare(): void {
    this.#nextName = this.#newName();
    this.#parts.manager.alive();
  }

  /** From the moment it is accepted, a kill is not to end the connection. */
  #keep(fd: number): Copy {
    const isKept = this.#parts.manager.keep(fd, this.#nextName);
    return { name: this.#nextName, isKept };
  }

  /** Code takes much longer when it runs for the first time: better now than while a unit waits. */
  #rehearse(): void {
    const pair = connectedPair();
    this.#prepare();
    const { name, isKept } = this.#keep(pair[0]);
    if (isKept) this.#parts.manager.release(name);
    for (const fd of pair) closeSync(fd);
  }

  #take(fd: number, copy: Copy): void {
    // Peers end their own sending at once; a half that is closed is not the end.
    const connection = this.#connect(new Socket({ fd, allowHalfOpen: true }), copy);
    if (connection.request === undefined) this.#finish(connection, this.#parts.wire.refusal);
    else if (connection.isBegun) this.#refuse(connection, 'interrupted');
    else this.#answer(connection);
  }

  #connect(socket: Socket, copy: Copy): LoadConnection {
    const { manager, log } = this.#parts;
    let request: LoadRequest | undefined;
    try {
      request = this.#parts.identify(socket);
    } catch (error) {
      const isStranger = error instanceof NotBelievedError || error instanceof UnknownPeerError;
      const reason = isStranger ? { reason: error.message } : describeDefect(error);
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
    let bytes: Uint8Array | undefined;
    try {
      answer = this.#parts.answer(request);
      if (answer.kind === 'value') bytes = this.#encode(request, answer.bytes);
    } catch (error) {
      this.#parts.log.error('an answer failed by a defect', describeDefect(error));
      this.#refuse(connection, 'InternalError');
      return;
    }
    if (bytes !== undefined) this.#finish(connection, bytes, () => wipe(bytes));
    else if (answer.kind === 'waits') this.#wait(connection, request);
    else this.#refuse(connection, answer.kind === 'refused' ? answer.reason : 'TooLarge');
  }

  /** Wipes the value. */
  #encode({ id }: LoadRequest, value: Uint8Array): Uint8Array | undefined {
    try {
      return value.length === 0 ? undefined : this.#parts.wire.encode(id, value);
    } finally {
      wipe(value);
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
    if (connection.request === undefined) this.#boundStrangers();
    // Once more, where systemd could not take it when it came: an answer may be longer than the socket holds.
    connection.keep();
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
    if (!connection.keep(true)) {
      this.#refuse(connection, 'nobody_keeps_it');
      return;
    }
    this.#waiting.add(connection);
    this.#parts.log.info('a unit waits for a credential', { unit, credential: id });
    this.#sweep ??= setInterval(() => this.#dropGone(), SWEEP_INTERVAL_MS).unref();
  }

  /** systemd reads what it asked for; somebody else may not. */
  #boundStrangers(): void {
    const strangers = [...this.#unread].filter(({ request }) => request === undefined);
    const [oldest] = strangers;
    if (oldest !== undefined && strangers.length > STRANGERS_MAX) {
      // Its end is heard of only later, and more of them may come in this turn.
      this.#unread.delete(oldest);
      oldest.drop();
    }
    strangers.at(-1 - STRANGERS_KEPT_MAX)?.giveBack();
  }

  #dropGone(): void {
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

/** One that is left behind is removed by the next process. */
function removeIfPossible(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has removed it, or made its folder read-only.
  }
}

/** Reasons that lie with the server and not with the store. */
type ServerRefusal = 'stopping' | 'interrupted' | 'nobody_keeps_it';
