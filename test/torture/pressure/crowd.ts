import net from 'node:net';
import type { Torture } from '../scenario.ts';
import { callOf, PRESSES } from './presses.ts';

/** Clients of each kind, all at once; each of these presses holds as much as one user may hold. */
const CLIENTS = 15;

/**
 * Starts clients of many kinds: large values that are not read, half messages, messages without end, lists, watches and
 * writes of large values.
 */
export function crowd(socketPath: string, { random }: Torture): net.Socket[] {
  const large = callOf('Create', {
    credentials: [{ name: 'large-too', value: 'x'.repeat(1024 * 1024) }],
    replace: true,
  });
  const presses: readonly ((socket: net.Socket) => unknown)[] = [
    ...PRESSES.map(
      (press) =>
        (socket: net.Socket): void =>
          press.start(socket, random),
    ),
    (socket) => socket.pause().write(callOf('List', {}, { more: true }).repeat(4)),
    (socket) => socket.resume().write(callOf('Watch', {}, { more: true })),
    (socket) => socket.resume().write(large),
  ];
  return presses.flatMap((start) =>
    Array.from({ length: CLIENTS }, () => {
      const socket = net.connect(socketPath, () => void start(socket));
      return socket.on('error', () => undefined);
    }),
  );
}
