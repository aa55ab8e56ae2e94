/** Why there is no answer of the daemon, or none that can be used. */
export type ConnectionFailure =
  /** No socket at the path: the daemon does not run. */
  | 'not_found'
  /** A socket that nobody listens on. */
  | 'refused'
  /** The socket's mode keeps the caller out. */
  | 'permission'
  | 'path_too_long'
  /** The socket's folder belongs to, or can be written by, somebody else. */
  | 'untrusted'
  | 'timed_out'
  /** The connection ended before the answer. */
  | 'closed'
  /** What came is no Varlink reply, or not one of this method. */
  | 'bad_reply'
  /** The peer does not have this interface or method, or does not take these parameters: another version. */
  | 'rejected'
  /** Another error of the operating system; it is the `cause`. */
  | 'failed';

/** There is no connection to a daemon, or the peer broke the protocol. It never carries anything that was received. */
export class ConnectionError extends Error {
  readonly reason: ConnectionFailure;
  /** Path of the socket. */
  readonly socket: string;
  /** More about a `rejected` or a `bad_reply`: a name out of the interface. */
  readonly detail: string | undefined;

  /** Compares by name: parts of the client that are built into files of their own have a copy of this class each. */
  static override [Symbol.hasInstance](value: unknown): value is ConnectionError {
    return Error[Symbol.hasInstance](value) && (value as Error).name === 'ConnectionError';
  }

  constructor(reason: ConnectionFailure, socket: string, more: { detail?: string; cause?: unknown } = {}) {
    super(`${reason}: ${socket}`, more.cause === undefined ? {} : { cause: more.cause });
    this.name = 'ConnectionError';
    this.reason = reason;
    this.socket = socket;
    this.detail = more.detail;
  }
}
