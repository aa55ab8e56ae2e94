import { join } from 'node:path';

import { InheritedSocketError } from './kernel/inherited-sockets.ts';
import type { InheritedSocket } from './kernel/inherited-sockets.ts';
import type { Place } from './socket/listen.ts';

/** The sockets of the daemon: the `FileDescriptorName=` of their units, and their names in the runtime directory. */
export const SOCKET_FILES = {
  varlink: 'io.cio.Credentials',
  load: 'load',
  'load-encrypted': 'load-encrypted',
} as const;

export type SocketName = keyof typeof SOCKET_FILES;

/** Where each socket is; undefined for one that is not served. */
export type Places = { readonly [Name in SocketName]: Place | undefined };

/**
 * Returns where to listen: on the sockets that systemd passed, and on no others; or, if it passed none, on all sockets
 * in the runtime directory.
 *
 * @throws InheritedSocketError for a socket that the daemon does not know, or that was passed twice
 */
export function placesOf(inherited: readonly InheritedSocket[], runtimeDirectory: string): Places {
  const listening = inherited.filter(({ isListening }) => isListening);
  const unknownSocket = listening.find(({ name }) => !Object.hasOwn(SOCKET_FILES, name));
  if (unknownSocket !== undefined) {
    const names = Object.keys(SOCKET_FILES).join(', ');
    throw new InheritedSocketError(`a socket has another FileDescriptorName= than ${names}; see the socket units`);
  }
  const second = listening.find(({ name }, index) => listening.findIndex((socket) => socket.name === name) < index);
  if (second !== undefined) {
    throw new InheritedSocketError(
      `systemd listens on two sockets named ${second.name}; give that socket unit one ListenStream=`,
    );
  }
  const place = (name: SocketName): Place | undefined =>
    listening.length === 0
      ? { path: join(runtimeDirectory, SOCKET_FILES[name]) }
      : listening.find((socket) => socket.name === name);
  return { varlink: place('varlink'), load: place('load'), 'load-encrypted': place('load-encrypted') };
}
