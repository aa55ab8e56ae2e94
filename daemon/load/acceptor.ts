import { closeSync } from 'node:fs';

import { SystemError, acceptConnection, duplicate } from '../kernel/libc.ts';

/** How soon the acceptor tries again after the host had no descriptor or memory left. */
const RETRY_MS = 100;

/** How long the acceptor accepts in one turn of the event loop. In a rush of units, others are served between turns. */
const TURN_MS_MAX = 10;

/** The part of Node's internal pipe handles that tells when a descriptor is readable. */
interface PipeHandle {
  onread: () => void;
  open(fd: number): number | undefined;
  readStart(): number;
  close(): void;
}

interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle;
  readonly constants: { readonly SOCKET: number };
}

/**
 * Accepts connections of a listening Unix socket by itself, so that nothing lies between the kernel's accept(2) and the
 * callback, which does what must be done with a connection first.
 *
 * Node's own server makes objects of a connection before it reports it. After an idle time, when none of that is in the
 * processor's caches, this takes hundreds of microseconds, in which a kill would end the connection. Here, all work
 * that can be done in advance is done in advance.
 */
export class Acceptor {
  readonly #fd: number;
  readonly #binding: PipeBinding;
  readonly #prepare: () => void;
  readonly #accepted: (fd: number) => void;
  readonly #failed: (error: SystemError) => void;
  #handle: PipeHandle | undefined;
  #isClosed = false;

  /**
   * @param fd listens already; the acceptor owns it
   * @param prepare is called before each accept, to do in advance, or to rehearse, what will be done after it
   * @param accepted gets the descriptor of each connection, which it owns
   * @param failed is called after each failed try, with the reason; the peers that are queued keep waiting
   * @throws Error if this Node cannot watch a descriptor
   */
  constructor(
    fd: number,
    prepare: () => void,
    accepted: (fd: number) => void,
    failed: (error: SystemError) => void = () => undefined,
  ) {
    this.#fd = fd;
    this.#prepare = prepare;
    this.#accepted = accepted;
    this.#failed = failed;
    this.#binding = loadBinding();
    this.#watch();
  }

  /** Stops accepting. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handle?.close();
    closeSync(this.#fd);
  }

  /**
   * Waits for a connection to be queued. libuv then tries to read from the listening socket, and reports an error,
   * which serves as the signal. It is done with a handle after that, so each handle is used once, with a descriptor of
   * its own.
   */
  #watch(): void {
    if (this.#isClosed) return;
    const { Pipe, constants } = this.#binding;
    const handle = new Pipe(constants.SOCKET);
    this.#handle = handle;
    handle.onread = () => this.#acceptQueued();
    const status = handle.open(duplicate(this.#fd)) || handle.readStart();
    if (status) throw new Error(`the listening socket cannot be watched (${status})`);
  }

  #acceptQueued(): void {
    const isOverloaded = !this.#acceptWhileTime();
    if (this.#isClosed) return;
    this.#handle?.close();
    this.#handle = undefined;
    if (isOverloaded) this.#watchLater();
    else this.#watchAgain();
  }

  #watchLater(): void {
    setTimeout(() => this.#watchAgain(), RETRY_MS);
  }

  /** Watches again, or tries later if the last descriptor, which this needs, is in use by now. */
  #watchAgain(): void {
    try {
      this.#watch();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#failed(error);
      this.#watchLater();
    }
  }

  /**
   * Accepts while peers are queued and there is time.
   *
   * @returns false if the host has no descriptor or memory for one more connection: the peers that are queued keep
   *   waiting
   */
  #acceptWhileTime(): boolean {
    const end = performance.now() + TURN_MS_MAX;
    // The callback may close the acceptor.
    while (!this.#isClosed && performance.now() < end) {
      this.#prepare();
      let connection: number | undefined;
      try {
        connection = acceptConnection(this.#fd);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        this.#failed(error);
        return false;
      }
      if (connection === undefined) return true;
      this.#accepted(connection);
    }
    return true;
  }
}

/** @throws Error if this Node has no such binding */
function loadBinding(): PipeBinding {
  const { binding } = process as unknown as { binding?: (name: string) => PipeBinding };
  if (binding === undefined) throw new Error('this Node does not show its pipes');
  return binding.call(process, 'pipe_wrap');
}
