import type { Socket } from 'node:net';

/** How a reply begins that is an error, and what is before it where it is not the first in a chunk. */
const ERROR = Buffer.from('\0{"error"');

/** Runs until `done`; fails when one of the connections ends before, or a call is refused: that takes no time. */
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

/** How much of a chunk is told. */
const SHOWN = 200;

/** One that two chunks share is not seen; where calls are refused, it is not one. */
function hasError(chunk: Buffer): boolean {
  return chunk.includes(ERROR) || chunk.subarray(0, ERROR.length - 1).equals(ERROR.subarray(1));
}
