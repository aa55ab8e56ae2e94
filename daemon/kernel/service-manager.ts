import { describeSystemError } from '../system-error.ts';
import { Datagram, SystemError, openDatagramSocket } from './libc.ts';

/** Longest message that is sent. */
const TEXT_BYTES_MAX = 512;

const KEEP = 'FDSTORE=1\nFDNAME=';

/**
 * Most descriptors that it is left with: it drops one more, and nobody is told (`FileDescriptorStoreMax=` of the unit).
 */
export const KEPT_MAX = 128;

/**
 * How long a descriptor, or the word that the daemon serves, waits for room in systemd's queue, altogether and at a time:
 * while it starts many units at once it reads nothing, and in a container its queue has ten places (unix(7),
 * max_dgram_qlen). A unit that was not heard to be ready is ended; sd_notify(3) waits for as long as it takes.
 */
const KEEP_TRIES_MAX = 100;
const READY_TRIES_MAX = 1000;
const PAUSE_MS = 2;

/** For how long it is not waited for again, after that was in vain: nobody is served while it is. */
const OVERRUN_MS = 1000;

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
  /** We live, some times in each `WATCHDOG_USEC`. */
  alive(): void;
  /**
   * Leaves a copy of a descriptor with systemd, until {@link release} or until its peer is gone. It is safe when this
   * returns: the copy is in the kernel's hands then.
   *
   * @param name unlike every other one; ASCII without control characters and colons
   * @param isNeeded whether to wait for room also where that was in vain just now
   * @returns false where it could not be left there, or would be one too many
   */
  keep(fd: number, name: string, isNeeded?: boolean): boolean;
  release(name: string): void;
}

/**
 * @param address `$NOTIFY_SOCKET`: a path, or `@` and the name of an abstract socket; undefined where nobody listens
 * @param onUnheard is called once, with the reason, where nothing that is said arrives
 * @param left names of what another process left with it
 */
export function connectServiceManager(
  address: string | undefined,
  onUnheard: (reason: string) => void,
  left: readonly string[] = [],
): ServiceManager {
  if (address === undefined || address === '') return NOBODY;
  const path = Buffer.from(address.startsWith('@') ? `\0${address.slice(1)}` : address);
  if (path.length > ADDRESS_BYTES_MAX || !/^[@/]/.test(address)) {
    onUnheard('it is no address of a Unix socket');
    return NOBODY;
  }
  const socket = openDatagramSocket();
  const message = new Datagram(socket, path, TEXT_BYTES_MAX);
  const keepMessage = new Datagram(socket, path, TEXT_BYTES_MAX);
  keepMessage.text.write(KEEP, 'latin1');
  const kept = new Set(left);
  let isUnheard = false;
  let overrunUntil = 0;
  const attemptAWhile = (work: () => void, isNeeded = false): SystemError | undefined => {
    if (!isNeeded && performance.now() < overrunUntil) return attempt(work, 1);
    const failure = attempt(work, KEEP_TRIES_MAX);
    if (failure?.code === 'EAGAIN') overrunUntil = performance.now() + OVERRUN_MS;
    return failure;
  };
  const send = (text: string, triesMax = 1): void => {
    const failure = attempt(() => message.send(message.text.write(text)), triesMax);
    // One that is overrun has lost a ping or a status, and hears the next one.
    if (failure === undefined || isUnheard || (failure.code === 'EAGAIN' && triesMax === 1)) return;
    isUnheard = true;
    onUnheard(describeSystemError(failure));
  };
  return {
    keepsDescriptors: true,
    ready: (status) => send(`READY=1\nSTATUS=${status}`, READY_TRIES_MAX),
    status: (status) => send(`STATUS=${status}`),
    stopping: () => send('STOPPING=1\nSTATUS=Stopping'),
    alive: () => send('WATCHDOG=1'),
    keep: (fd, name, isNeeded) => {
      if (kept.size >= KEPT_MAX) return false;
      const textBytes = KEEP.length + keepMessage.text.write(name, KEEP.length, 'latin1');
      if (attemptAWhile(() => keepMessage.send(textBytes, fd), isNeeded) !== undefined) return false;
      kept.add(name);
      return true;
    },
    release: (name) => {
      // One that is overrun does not hear it, and drops the copy when its peer is gone.
      attemptAWhile(() => message.send(message.text.write(`FDSTOREREMOVE=1\nFDNAME=${name}`)));
      kept.delete(name);
    },
  };
}

/**
 * Waits for one that is overrun, as often as it may be tried. One that does not listen is no failure of ours: its watchdog
 * and its time limits are what notices.
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

/** Without going back to the event loop, where a kill would find a connection that nobody else has. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, ms);
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
