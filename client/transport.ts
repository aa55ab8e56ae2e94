/** Who hears what comes from the daemon. */
export interface TransportListener {
  /** The chunk is the listener's: it may be changed and kept. */
  onData(chunk: Uint8Array): void;
  /** Nothing will come any more; once, whichever side ended it. */
  onClose(cause?: Error): void;
}

/** A connected stream of bytes. */
export interface Transport {
  /** Begins to read. To be called once, before the caller gives way to the event loop. */
  listen(listener: TransportListener): void;
  write(text: string): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

/**
 * Connects to a path.
 *
 * @throws Error with the `code` of connect(2)
 */
export type OpenTransport = (path: string) => Promise<Transport>;
