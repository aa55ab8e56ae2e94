import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';

import { getSocketOption, setSocketOption, waitUntilWritable } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import type { ServiceManager } from '../kernel/service-manager.ts';
import type { LoadRequest } from './address.ts';

/**
 * A peer normally reads as fast as the daemon writes. The daemon waits no longer than this for a slower one, since
 * nobody else is served meanwhile.
 */
const WRITE_TIME_MAX_MS = 100;

/**
 * This option has no effect on a Unix socket. The daemon uses it to mark, in the socket itself, that the answer was
 * begun. A process that takes over the connection reads the mark there.
 */
const SO_PRIORITY = 12;
const BEGUN = 1;

/** The copy of a connection that the service manager may have. */
export interface StoredCopy {
  /** Its name with the service manager, also if it is not kept yet. */
  readonly name: string;
  readonly isStored: boolean;
}

/**
 * A connection of a LOAD socket, which is owed one answer.
 *
 * systemd takes the end of a connection for the end of the secret, even if the connection ends because this process was
 * killed. So an answer is written at once, without going back to the event loop, and a connection that must outlive
 * this turn of the loop is left with the service manager, which passes it to the next process.
 */
export class LoadConnection {
  readonly request: LoadRequest | undefined;
  readonly fd: number;
  readonly #socket: Socket;
  readonly #manager: ServiceManager;
  /** Its name with the service manager. */
  readonly #name: string;
  #isStored: boolean;

  /** @param request undefined if the peer is not believed to be systemd */
  constructor(
    socket: Socket,
    request: LoadRequest | undefined,
    manager: ServiceManager,
    { name, isStored }: StoredCopy,
  ) {
    this.#socket = socket;
    this.fd = descriptorOf(socket);
    this.request = request;
    this.#manager = manager;
    this.#name = name;
    this.#isStored = isStored;
    // A peer that goes away is not a failure of the daemon.
    socket.on('error', () => socket.destroy());
  }

  /** Whether this or an earlier process began to answer; no other answer may follow what it wrote. */
  get isBegun(): boolean {
    return getSocketOption(this.fd, SO_PRIORITY, 4).readInt32LE(0) === BEGUN;
  }

  /**
   * Leaves a copy with the service manager; false if that is not possible.
   *
   * @param isNeeded whether to wait for room even if the last wait was in vain
   */
  storeCopy(isNeeded = false): boolean {
    this.#isStored ||= this.#manager.storeDescriptor(this.fd, this.#name, isNeeded);
    return this.#isStored;
  }

  /**
   * Writes the answer and closes. What the peer does not take in time is sent as the peer reads it.
   *
   * @param answer is not used any more when `onDone` is called
   */
  answer(answer: Uint8Array, onDone: () => void): void {
    if (this.#isStored) setSocketOption(this.fd, SO_PRIORITY, BEGUN);
    const sent = this.#writeNow(answer);
    // The peer can read what the socket holds even if this process ends, so the copy is not needed any more. Of many
    // connections that come at once, each needs its place with the service manager only briefly.
    if (sent === answer.length) this.removeCopy();
    this.#socket.once('close', () => {
      this.removeCopy();
      onDone();
    });
    if (sent === undefined) this.#socket.destroy();
    else if (sent === answer.length) this.#socket.end(() => this.#socket.destroy());
    else this.#socket.end(answer.subarray(sent), () => this.#socket.destroy());
  }

  /** Gives up a peer that is gone, or is not systemd. */
  drop(): void {
    this.removeCopy();
    this.#socket.destroy();
  }

  /** Returns how many bytes were written; undefined if the peer is gone. */
  #writeNow(answer: Uint8Array): number | undefined {
    // A peer that is not systemd is not waited for.
    const deadline = performance.now() + (this.request === undefined ? 0 : WRITE_TIME_MAX_MS);
    let sent = 0;
    while (sent < answer.length) {
      const written = writeSome(this.fd, answer, sent);
      if (written === undefined) return undefined;
      sent += written;
      if (sent === answer.length || written > 0) continue;
      // The answer is longer than the socket can hold: from here on, a kill would cut it off.
      this.#storeBegun();
      if (waitUntilWritable(this.fd, Math.max(0, deadline - performance.now()))) continue;
      // The connection now outlives this turn of the event loop. For a peer that is not systemd, which can cause that
      // whenever it likes, the daemon does not wait for room.
      this.#storeBegun(this.request !== undefined);
      break;
    }
    return sent;
  }

  #storeBegun(isNeeded = false): void {
    if (!this.#isStored && this.storeCopy(isNeeded)) setSocketOption(this.fd, SO_PRIORITY, BEGUN);
  }

  /** Makes the service manager drop its copy. */
  removeCopy(): void {
    if (!this.#isStored) return;
    this.#isStored = false;
    this.#manager.removeDescriptor(this.#name);
  }
}

/** Errors of a write to a peer that is gone. */
const GONE: ReadonlySet<unknown> = new Set(['EPIPE', 'ECONNRESET', 'ENOTCONN']);

/**
 * Returns how many bytes were written, perhaps none; undefined if the peer is gone. To close the connection for any
 * other error, such as a lack of memory in the kernel (ENOBUFS, ENOMEM), would tell systemd that the secret ends here.
 */
function writeSome(fd: number, bytes: Uint8Array, offset: number): number | undefined {
  try {
    return writeSync(fd, bytes, offset);
  } catch (error) {
    return GONE.has((error as NodeJS.ErrnoException).code) ? undefined : 0;
  }
}
