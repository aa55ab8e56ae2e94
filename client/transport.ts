/** Receives what comes from the daemon. */
export interface TransportListener {
  /** The chunk belongs to the listener, which may change and keep it. */
  onData(chunk: Uint8Array): void;
  /** Called once, when the connection has ended, whichever side closed it. */
  onClose(cause?: Error): void;
}

/** A connected stream of bytes. */
export interface Transport {
  /** Starts reading. To be called once, before control returns to the event loop. */
  listen(listener: TransportListener): void;
  write(text: string): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

/**
 * Connects to the Unix socket at a path.
 *
 * @throws Error with the error code of connect(2) in `code`
 */
export type OpenTransport = (path: string) => Promise<Transport>;
