import { getSystemErrorName } from 'node:util';
import { openNetTransport } from '../net-transport.ts';
import type { Transport, TransportListener } from '../transport.ts';

/**
 * The part of Node's internal bindings that `node:net` is built on. A process that makes one call spends a quarter of
 * its time on loading `node:net` and the streams below it: 10 ms of 50. These are the bindings of the pinned Node; if
 * they differ from this declaration, `node:net` is used instead.
 */
interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle;
  readonly PipeConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number };
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** State of the last operation: the number of bytes read, or the error. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kArrayBufferOffset: number;
}

interface PipeHandle {
  onread: (buffer: ArrayBuffer | undefined) => void;
  connect(request: ConnectRequest, path: string): number | undefined;
  readStart(): number;
  readStop(): number;
  writeUtf8String(request: WriteRequest, text: string): number;
  close(): void;
}

interface ConnectRequest {
  oncomplete: (status: number) => void;
}

interface WriteRequest {
  oncomplete: (status: number) => void;
}

/** Errors of a write on a connection that either side has closed. */
const CLOSED_CONNECTION_CODES: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'ENOTCONN', 'ECANCELED']);

/** Connects without `node:net`, or with it if this Node does not have the bindings. */
export function openPipeTransport(path: string): Promise<Transport> {
  const bindings = loadBindings();
  if (bindings === undefined) return openNetTransport(path);
  const { pipe, stream } = bindings;
  return new Promise((resolve, reject) => {
    const handle = new pipe.Pipe(pipe.constants.SOCKET);
    const request = new pipe.PipeConnectWrap();
    const onConnected = (status: number): void => {
      if (status === 0) {
        resolve(new PipeTransport(handle, stream));
        return;
      }
      handle.close();
      reject(systemError(status));
    };
    request.oncomplete = onConnected;
    const failed = handle.connect(request, path) ?? 0;
    if (failed !== 0) onConnected(failed);
  });
}

class PipeTransport implements Transport {
  readonly #handle: PipeHandle;
  readonly #stream: StreamBinding;
  #listener: TransportListener | undefined;
  #isEnded = false;

  constructor(handle: PipeHandle, stream: StreamBinding) {
    this.#handle = handle;
    this.#stream = stream;
  }

  listen(listener: TransportListener): void {
    this.#listener = listener;
    const { streamBaseState: state, kReadBytesOrError, kArrayBufferOffset } = this.#stream;
    this.#handle.onread = (buffer) => {
      const bytes = state[kReadBytesOrError] ?? 0;
      if (bytes > 0 && buffer !== undefined) listener.onData(new Uint8Array(buffer, state[kArrayBufferOffset], bytes));
      else if (bytes < 0) this.#end(isEndOfFile(bytes) ? undefined : systemError(bytes));
    };
    this.#handle.readStart();
  }

  write(text: string): void {
    if (this.#isEnded) return;
    const request = new this.#stream.WriteWrap();
    request.oncomplete = (status) => this.#afterWrite(status);
    this.#afterWrite(this.#handle.writeUtf8String(request, text));
  }

  /**
   * Ends the connection if a write failed, as for want of memory (ENOBUFS): the call was not sent, and no reply would
   * come. A connection that the peer closed is left to the reading side, which first delivers what the peer had sent.
   */
  #afterWrite(status: number): void {
    if (status < 0 && !CLOSED_CONNECTION_CODES.has(getSystemErrorName(status))) this.#end(systemError(status));
  }

  pause(): void {
    if (!this.#isEnded) this.#handle.readStop();
  }

  resume(): void {
    if (!this.#isEnded) this.#handle.readStart();
  }

  destroy(): void {
    this.#end();
  }

  #end(cause?: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#handle.close();
    this.#listener?.onClose(cause);
  }
}

/** Loads the bindings. Returns undefined if this Node lacks them, or has different ones. */
function loadBindings(): { readonly pipe: PipeBinding; readonly stream: StreamBinding } | undefined {
  // With pending deprecations enabled, `process.binding` prints a warning.
  const { NODE_OPTIONS, NODE_PENDING_DEPRECATION } = process.env;
  if (NODE_PENDING_DEPRECATION === '1' || NODE_OPTIONS?.includes('--pending-deprecation') === true) return undefined;
  try {
    const { binding } = process as unknown as { readonly binding: (name: string) => unknown };
    const pipe = binding('pipe_wrap') as PipeBinding;
    const stream = binding('stream_wrap') as StreamBinding;
    const isKnown =
      typeof pipe.Pipe.prototype.connect === 'function' &&
      typeof pipe.PipeConnectWrap === 'function' &&
      typeof pipe.constants.SOCKET === 'number' &&
      typeof stream.WriteWrap === 'function' &&
      stream.streamBaseState instanceof Int32Array &&
      typeof stream.kReadBytesOrError === 'number' &&
      typeof stream.kArrayBufferOffset === 'number';
    return isKnown ? { pipe, stream } : undefined;
  } catch {
    return undefined;
  }
}

function isEndOfFile(status: number): boolean {
  return getSystemErrorName(status) === 'EOF';
}

function systemError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(code), { code });
}
