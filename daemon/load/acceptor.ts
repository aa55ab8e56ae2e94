import { closeSync } from 'node:fs';

import { SystemError, acceptConnection, duplicate } from '../kernel/libc.ts';

/** How soon it is tried again after the host had no room. */
const RETRY_MS = 100;

/** The part of Node's own pipes that tells when something can be read. */
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
 * Accepts connections of a listening Unix socket by hand, so that nothing but the callback lies between the kernel's
 * accept(2) and what must be done with a connection first.
 *
 * Node's own server makes objects of a connection before it tells of it: after a pause, when all of that has to come into
 * the processor's caches again, this takes hundreds of microseconds, in which a kill would end the connection. Here all
 * work that can be done before is done before.
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
   * @param prepare is called before each accept, to do without effect what will be done after it
   * @param accepted gets the descriptor of each connection, which it owns
   * @param failed hears, at each try, why whoever waits goes on waiting
   * @throws Error where this Node cannot watch a descriptor
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

  /** Accepts nobody any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handle?.close();
    closeSync(this.#fd);
  }

  /**
   * To read from a listening socket is an error, and that it comes says that somebody waits to be accepted. libuv is done
   * with a handle then, so each is for one knock, and for a descriptor of its own.
   */
  #watch(): void {
    if (this.#isClosed) return;
    const { Pipe, constants } = this.#binding;
    const handle = new Pipe(constants.SOCKET);
    this.#handle = handle;
    handle.onread = () => this.#acceptAll();
    const status = handle.open(duplicate(this.#fd)) || handle.readStart();
    if (status) throw new Error(`the listening socket cannot be watched (${status})`);
  }

  #acceptAll(): void {
    const isOverloaded = !this.#acceptWhileSome();
    if (this.#isClosed) return;
    this.#handle?.close();
    this.#handle = undefined;
    if (isOverloaded) this.#watchLater();
    else this.#watchAgain();
  }

  #watchLater(): void {
    setTimeout(() => this.#watchAgain(), RETRY_MS);
  }

  /** Somebody else may have the descriptor by now that this takes. */
  #watchAgain(): void {
    try {
      this.#watch();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#failed(error);
      this.#watchLater();
    }
  }

  /** @returns false where the host has no descriptor or memory for one more: who waits goes on waiting */
  #acceptWhileSome(): boolean {
    // What is accepted may close the acceptor.
    while (!this.#isClosed) {
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

/** @throws Error where this Node has no such binding */
function loadBinding(): PipeBinding {
  const { binding } = process as unknown as { binding?: (name: string) => PipeBinding };
  if (binding === undefined) throw new Error('this Node does not show its pipes');
  return binding.call(process, 'pipe_wrap');
}
