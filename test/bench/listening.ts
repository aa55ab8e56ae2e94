import type { Socket } from 'node:net';

/** Runs until `done`; fails when one of the connections ends before. */
export function whileListening<Result>(
  sockets: readonly Socket[],
  work: (listen: (socket: Socket, onData: (chunk: Buffer) => void) => void, done: (result: Result) => void) => void,
): Promise<Result> {
  const listeners: (() => void)[] = [];
  return new Promise<Result>((resolve, reject) => {
    const listen = (socket: Socket, onData: (chunk: Buffer) => void): void => {
      const onClose = (): void => reject(new Error('the server closed the connection'));
      socket.on('data', onData).on('close', onClose);
      listeners.push(() => socket.off('data', onData).off('close', onClose));
    };
    for (const socket of sockets) socket.resume();
    work(listen, resolve);
  }).finally(() => {
    for (const stop of listeners) stop();
  });
}
