import type { Socket } from 'node:net';

/** The beginning of an error reply, with the NUL before it if it is not the first in a chunk. */
const ERROR = Buffer.from('\0{"error"');

/**
 * Runs until `done`; fails if a connection ends before that, or a call is refused, since an error reply takes no time.
 */
export function whileListening<Result>(
  sockets: readonly Socket[],
  work: (listen: (socket: Socket, onData: (chunk: Buffer) => void) => void, done: (result: Result) => void) => void,
): Promise<Result> {
  const listeners: (() => void)[] = [];
  return new Promise<Result>((resolve, reject) => {
    const listen = (socket: Socket, onData: (chunk: Buffer) => void): void => {
      const onClose = (): void => reject(new Error('the server closed the connection'));
      const onChunk = (chunk: Buffer): void => {
        if (hasError(chunk)) reject(new Error(`the server refuses a call: ${chunk.toString('utf8', 0, SHOWN)}`));
        else onData(chunk);
      };
      socket.on('data', onChunk).on('close', onClose);
      listeners.push(() => socket.off('data', onChunk).off('close', onClose));
    };
    for (const socket of sockets) socket.resume();
    work(listen, resolve);
  }).finally(() => {
    for (const stop of listeners) stop();
  });
}

/** The number of bytes of a chunk that are reported. */
const SHOWN = 200;

/** Finds an error reply in a chunk, unless two chunks share it; where calls are refused, there are many. */
function hasError(chunk: Buffer): boolean {
  return chunk.includes(ERROR) || chunk.subarray(0, ERROR.length - 1).equals(ERROR.subarray(1));
}
