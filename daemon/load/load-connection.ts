import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';

import { getSocketOption, setSocketOption, waitUntilWritable } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import type { ServiceManager } from '../kernel/service-manager.ts';
import type { LoadRequest } from './address.ts';

/**
 * A peer reads as fast as we write. One that does not is waited for no longer than this, while nobody else is served.
 */
const WRITE_TIME_MAX_MS = 100;

/**
 * On a Unix socket it does nothing; it is where we note, in the socket itself, that its answer was begun. Whoever takes
 * the connection over from us reads it there.
 */
const SO_PRIORITY = 12;
const BEGUN = 1;

/** The copy of a connection that the service manager may have. */
export interface Copy {
  /** What the service manager knows it by, or will. */
  readonly name: string;
  readonly isKept: boolean;
}

/**
 * One peer of a LOAD socket, who is owed one answer.
 *
 * To systemd the end of a connection is the end of a secret, also when it ends because this process was killed. So an
 * answer is written at once, without going back to the event loop, and a connection that must outlive this turn of it is
 * left with the service manager, which passes it to the next process.
 */
export class LoadConnection {
  readonly request: LoadRequest | undefined;
  readonly fd: number;
  readonly #socket: Socket;
  readonly #manager: ServiceManager;
  /** Its name with the service manager. */
  readonly #name: string;
  #isKept: boolean;

  /** @param request undefined where the peer is not believed */
  constructor(socket: Socket, request: LoadRequest | undefined, manager: ServiceManager, { name, isKept }: Copy) {
    this.#socket = socket;
    this.fd = descriptorOf(socket);
    this.request = request;
    this.#manager = manager;
    this.#name = name;
    this.#isKept = isKept;
    // A peer that goes away is no failure of ours.
    socket.on('error', () => socket.destroy());
  }

  /** Whether a process began to answer; no other answer may follow what it wrote. */
  get isBegun(): boolean {
    return getSocketOption(this.fd, SO_PRIORITY, 4).readInt32LE(0) === BEGUN;
  }

  /**
   * Leaves a copy with the service manager; false where that cannot be done.
   *
   * @param isNeeded whether to wait for that in any case
   */
  keep(isNeeded = false): boolean {
    this.#isKept ||= this.#manager.keep(this.fd, this.#name, isNeeded);
    return this.#isKept;
  }

  /**
   * Writes the answer and closes. What the peer does not take in time follows as he reads it.
   *
   * @param answer not read any more when `onDone` is called
   */
  answer(answer: Uint8Array, onDone: () => void): void {
    if (this.#isKept) setSocketOption(this.fd, SO_PRIORITY, BEGUN);
    const sent = this.#writeNow(answer);
    // What the socket holds is read to its end, whatever becomes of us: many who come at once have one place in turn.
    if (sent === answer.length) this.giveBack();
    this.#socket.once('close', () => {
      this.giveBack();
      onDone();
    });
    if (sent === undefined) this.#socket.destroy();
    else if (sent === answer.length) this.#socket.end(() => this.#socket.destroy());
    else this.#socket.end(answer.subarray(sent), () => this.#socket.destroy());
  }

  /** Gives up a peer that is gone, or is not systemd. */
  drop(): void {
    this.giveBack();
    this.#socket.destroy();
  }

  /** How much the peer took; undefined where he is gone. */
  #writeNow(answer: Uint8Array): number | undefined {
    // A peer that is not systemd is not waited for.
    const deadline = performance.now() + (this.request === undefined ? 0 : WRITE_TIME_MAX_MS);
    let sent = 0;
    while (sent < answer.length) {
      const written = writeSome(this.fd, answer, sent);
      if (written === undefined) return undefined;
      sent += written;
      if (sent === answer.length || written > 0) continue;
      // More than the socket holds: a kill from here on would cut the answer off.
      this.#keepBegun();
      if (waitUntilWritable(this.fd, Math.max(0, deadline - performance.now()))) continue;
      // Now it outlives this turn; a peer that is not systemd does so whenever it likes.
      this.#keepBegun(this.request !== undefined);
      break;
    }
    return sent;
  }

  #keepBegun(isNeeded = false): void {
    if (!this.#isKept && this.keep(isNeeded)) setSocketOption(this.fd, SO_PRIORITY, BEGUN);
  }

  /** Has the service manager forget its copy. */
  giveBack(): void {
    if (!this.#isKept) return;
    this.#isKept = false;
    this.#manager.release(this.#name);
  }
}

/** What a write says where there is nobody any more to read it. */
const GONE: ReadonlySet<unknown> = new Set(['EPIPE', 'ECONNRESET', 'ENOTCONN']);

/**
 * Bytes that were taken, perhaps none; undefined where the peer is gone. To give him up for anything else, as when the kernel has no
 * memory for it now (ENOBUFS, ENOMEM), would be an answer: that the secret ends here.
 */
function writeSome(fd: number, bytes: Uint8Array, offset: number): number | undefined {
  try {
    return writeSync(fd, bytes, offset);
  } catch (error) {
    return GONE.has((error as NodeJS.ErrnoException).code) ? undefined : 0;
  }
}
