/** Why there is no usable reply from the daemon. */
export type ConnectionFailure =
  /** There is no socket at the path: the daemon is not running. */
  | 'not_found'
  /** No process listens on the socket, or it is not a stream socket. */
  | 'refused'
  /** The mode of the socket or of a directory above it denies access. */
  | 'permission'
  /** The path is longer than the kernel takes for a Unix socket (107 bytes). */
  | 'path_too_long'
  /** The socket's directory belongs to another user, is writable by others, or is a symbolic link. */
  | 'untrusted'
  /** The daemon did not accept the connection, or did not reply, within the time-out. */
  | 'timed_out'
  /** The connection ended before the reply came. */
  | 'closed'
  /** The peer sent something that is no Varlink reply, or no valid reply of this method. */
  | 'bad_reply'
  /**
   * The peer does not know this interface, method or parameter, or answered with an error that this client does not
   * know: it is of another version.
   */
  | 'rejected'
  /** Another error of the operating system, which is the `cause`. */
  | 'failed';

/**
 * There is no connection to a daemon, or the peer violated the protocol. Of what was received, the error carries at
 * most the name of an error or of a parameter, in `detail`.
 *
 * @example
 * if (error instanceof ConnectionError && error.reason === 'not_found') startDaemon();
 */
export class ConnectionError extends Error {
  readonly reason: ConnectionFailure;
  /** Path of the socket. */
  readonly socket: string;
  /** More about a `rejected` or `bad_reply`: the name of an error or parameter, or where a reply is invalid. */
  readonly detail: string | undefined;

  /** Compares by name, as each bundle of the built client contains a copy of this class. */
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
