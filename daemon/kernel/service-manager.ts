import { describeSystemError } from '../system-error.ts';
import { Datagram, SystemError, openDatagramSocket } from './libc.ts';

/** Longest message that is sent. */
const TEXT_BYTES_MAX = 512;

const STORE_PREFIX = 'FDSTORE=1\nFDNAME=';

/**
 * Most descriptors that systemd keeps for the daemon (`FileDescriptorStoreMax=` of its unit). It silently drops any
 * more.
 */
export const FD_STORE_MAX = 128;

/**
 * How often, and for how long at a time, the daemon waits for room in systemd's queue, to pass a descriptor or to say
 * that it is ready. While systemd starts many units at once it reads nothing, and in a container its queue has ten
 * places (unix(7), max_dgram_qlen). systemd ends a unit from which it does not hear that it is ready; sd_notify(3)
 * waits without limit.
 */
const STORE_TRIES_MAX = 100;
const READY_TRIES_MAX = 1000;
const PAUSE_MS = 2;

/** After a wait in vain, the daemon does not wait for room again for this long: while it waits, nobody is served. */
const OVERRUN_MS = 1000;

/** Longest path or name of a Unix socket (unix(7)). */
const ADDRESS_BYTES_MAX = 107;

/**
 * Reports the daemon's state to systemd (sd_notify(3)), and leaves copies of open connections in its descriptor store
 * (`FDSTORE=1`), where they outlive this process, and from where they are passed to the next one.
 */
export interface ServiceManager {
  /** Whether it keeps descriptors for the daemon; without systemd, nobody does. */
  readonly storesDescriptors: boolean;
  ready(status: string): void;
  status(status: string): void;
  stopping(): void;
  /** Sends a watchdog ping; to be called several times in each `WATCHDOG_USEC`. */
  pingWatchdog(): void;
  /**
   * Leaves a copy of a descriptor with systemd, until {@link removeDescriptor} or until its peer is gone. The copy is
   * safe when this returns, since the kernel holds it.
   *
   * @param name unique; ASCII without control characters and colons
   * @param isNeeded whether to wait for room even if the last wait was in vain
   * @returns false if systemd could not take it, or keeps as many as it may
   */
  storeDescriptor(fd: number, name: string, isNeeded?: boolean): boolean;
  removeDescriptor(name: string): void;
}

/**
 * @param address `$NOTIFY_SOCKET`: a path, or `@` and the name of an abstract socket; undefined if nobody listens
 * @param onUnreachable is called once, with the reason, if messages do not arrive
 * @param left names of the descriptors that an earlier process left with it
 */
export function connectServiceManager(
  address: string | undefined,
  onUnreachable: (reason: string) => void,
  left: readonly string[] = [],
): ServiceManager {
  if (address === undefined || address === '') return NO_SERVICE_MANAGER;
  const path = Buffer.from(address.startsWith('@') ? `\0${address.slice(1)}` : address);
  if (path.length > ADDRESS_BYTES_MAX || !/^[@/]/.test(address)) {
    onUnreachable('it is not the address of a Unix socket');
    return NO_SERVICE_MANAGER;
  }
  const socket = openDatagramSocket();
  const message = new Datagram(socket, path, TEXT_BYTES_MAX);
  const storeMessage = new Datagram(socket, path, TEXT_BYTES_MAX);
  storeMessage.text.write(STORE_PREFIX, 'latin1');
  const stored = new Set(left);
  let isUnreachable = false;
  let overrunUntil = 0;
  const attemptWithRetries = (work: () => void, isNeeded = false): SystemError | undefined => {
    if (!isNeeded && performance.now() < overrunUntil) return attempt(work, 1);
    const failure = attempt(work, STORE_TRIES_MAX);
    if (failure?.code === 'EAGAIN') overrunUntil = performance.now() + OVERRUN_MS;
    return failure;
  };
  const send = (text: string, triesMax = 1): void => {
    const failure = attempt(() => message.send(message.text.write(text)), triesMax);
    // With its queue full, systemd has missed a ping or a status, and hears the next one.
    if (failure === undefined || isUnreachable || (failure.code === 'EAGAIN' && triesMax === 1)) return;
    isUnreachable = true;
    onUnreachable(describeSystemError(failure));
  };
  return {
    storesDescriptors: true,
    ready: (status) => send(`READY=1\nSTATUS=${status}`, READY_TRIES_MAX),
    status: (status) => send(`STATUS=${status}`),
    stopping: () => send('STOPPING=1\nSTATUS=Stopping'),
    pingWatchdog: () => send('WATCHDOG=1'),
    storeDescriptor: (fd, name, isNeeded) => {
      if (stored.size >= FD_STORE_MAX) return false;
      const textBytes = STORE_PREFIX.length + storeMessage.text.write(name, STORE_PREFIX.length, 'latin1');
      if (attemptWithRetries(() => storeMessage.send(textBytes, fd), isNeeded) !== undefined) return false;
      stored.add(name);
      return true;
    },
    removeDescriptor: (name) => {
      // With its queue full, systemd does not hear this, and drops the copy when the peer is gone.
      attemptWithRetries(() => message.send(message.text.write(`FDSTOREREMOVE=1\nFDNAME=${name}`)));
      stored.delete(name);
    },
  };
}

/**
 * Sends a message, at most `triesMax` times while systemd's queue is full. Returns a failure and does not throw it:
 * that systemd does not listen is noticed by its own watchdog and time-outs.
 */
function attempt(work: () => void, triesMax: number): SystemError | undefined {
  for (let tries = 1; ; tries += 1) {
    try {
      work();
      return undefined;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.code !== 'EAGAIN' || tries >= triesMax) return error;
      pause(PAUSE_MS);
    }
  }
}

/** Blocks. In the event loop, other work would prolong the time in which a kill ends a connection without a copy. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, ms);
}

/** For a daemon that was started by hand, or with a `$NOTIFY_SOCKET` that cannot be used. */
const NO_SERVICE_MANAGER: ServiceManager = {
  storesDescriptors: false,
  ready: () => undefined,
  status: () => undefined,
  stopping: () => undefined,
  pingWatchdog: () => undefined,
  storeDescriptor: () => false,
  removeDescriptor: () => undefined,
};
