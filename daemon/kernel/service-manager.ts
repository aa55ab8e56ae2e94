import { openDatagramSocket, sendDatagram } from './libc.ts';

/** Longest path or name of a Unix socket (unix(7)). */
const ADDRESS_BYTES_MAX = 107;

/**
 * Tells systemd how the daemon does, by its own protocol (sd_notify(3)), and leaves open connections in its care
 * (`FDSTORE=1`): what it holds outlives this process, and is passed to the next one.
 */
export interface ServiceManager {
  /** It holds descriptors for us; where there is no systemd, nobody does. */
  readonly keepsDescriptors: boolean;
  ready(status: string): void;
  status(status: string): void;
  stopping(): void;
  /** We live, once in every half of `WATCHDOG_USEC`. */
  alive(): void;
  /**
   * Leaves a copy of a descriptor with systemd, until {@link release} or until its peer is gone. It is safe when this
   * returns: the copy is in the kernel's hands then.
   *
   * @param name unlike every other one; ASCII without control characters and colons
   * @returns false where it could not be left there
   */
  keep(fd: number, name: string): boolean;
  release(name: string): void;
}

/** @param address `$NOTIFY_SOCKET`: a path, or `@` and the name of an abstract socket; undefined where nobody listens */
export function connectServiceManager(address: string | undefined): ServiceManager {
  if (address === undefined) return NOBODY;
  const path = Buffer.from(address.startsWith('@') ? `\0${address.slice(1)}` : address);
  if (path.length > ADDRESS_BYTES_MAX || !/^[@/]/.test(address)) return NOBODY;
  const socket = openDatagramSocket();
  const send = (text: string, fd?: number): boolean => {
    try {
      sendDatagram(socket, path, text, fd);
      return true;
    } catch {
      // A manager that does not listen or is overrun. Its watchdog and its time limits are what notices.
      return false;
    }
  };
  return {
    keepsDescriptors: true,
    ready: (status) => void send(`READY=1\nSTATUS=${status}`),
    status: (status) => void send(`STATUS=${status}`),
    stopping: () => void send('STOPPING=1\nSTATUS=Stopping'),
    alive: () => void send('WATCHDOG=1'),
    keep: (fd, name) => send(`FDSTORE=1\nFDNAME=${name}`, fd),
    release: (name) => void send(`FDSTOREREMOVE=1\nFDNAME=${name}`),
  };
}

/** By hand, or under a service manager that hears nothing. */
const NOBODY: ServiceManager = {
  keepsDescriptors: false,
  ready: () => undefined,
  status: () => undefined,
  stopping: () => undefined,
  alive: () => undefined,
  keep: () => false,
  release: () => undefined,
};
