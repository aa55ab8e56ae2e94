import type { Transport } from './transport.ts';

/** Connects by `node:net`, which is loaded only when this is called. */
export function openNetTransport(path: string): Promise<Transport> {
  const { createConnection } = process.getBuiltinModule('node:net');
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve({
        listen(listener) {
          let cause: Error | undefined;
          socket.on('data', (chunk) => listener.onData(chunk));
          socket.on('error', (error) => (cause = error));
          socket.on('close', () => listener.onClose(cause));
        },
        write: (text) => void socket.write(text),
        pause: () => void socket.pause(),
        resume: () => void socket.resume(),
        destroy: () => void socket.destroy(),
      });
    });
  });
}
