import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import koffi from 'koffi';
import type { InheritedSocket } from '../../../daemon/kernel/inherited-sockets.ts';
import type { ServiceManager } from '../../../daemon/kernel/service-manager.ts';
import type { LoadRequest } from '../../../daemon/load/address.ts';
import type { LoadAnswer } from '../../../daemon/load/answer.ts';
import { LoadServer } from '../../../daemon/load/load-server.ts';
import { PLAIN_WIRE } from '../../../daemon/load/wire.ts';
import type { LoadWire } from '../../../daemon/load/wire.ts';
import { getSocketOption, setSocketOption } from '../../../daemon/kernel/libc.ts';
import { createLog } from '../../../daemon/log.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** The answer of a plain socket to a unit that gets no credential: more bytes than systemd accepts. */
export const REFUSAL: Buffer = Buffer.alloc(1024 * 1024 + 1);

/** The same on the socket for encrypted credentials. */
export const SEALED_REFUSAL: Buffer = Buffer.alloc(1024 * 1024 + 128 * 1024 + 1);

/** What the peer of a test asks for. */
export const REQUEST: LoadRequest = { unit: 'restic.service', id: 'token' };

/** A service manager that stores descriptors, as systemd does, and records its calls. */
export class FakeServiceManager implements ServiceManager {
  readonly storesDescriptors: boolean = true;
  readonly stored: Map<string, number> = new Map();
  readonly calls: string[] = [];
  /** Whether each call to storeDescriptor() was one that needs to succeed. */
  readonly neededFlags: boolean[] = [];
  isAccepting = true;
  ready(): void {}
  status(): void {}
  stopping(): void {}
  pingWatchdog(): void {}
  storeDescriptor(fd: number, name: string, isNeeded = false): boolean {
    this.neededFlags.push(isNeeded);
    if (!this.isAccepting) return false;
    this.calls.push('store');
    this.stored.set(name, fd);
    return true;
  }
  removeDescriptor(name: string): void {
    this.calls.push('remove');
    assert.ok(this.stored.delete(name), 'it was kept');
  }
}

/** A served socket, and the answer that the test makes it give. */
export interface Served {
  readonly server: LoadServer;
  readonly manager: FakeServiceManager;
  readonly log: string[];
  answer: LoadAnswer | (() => LoadAnswer);
  /** Returns everything a client reads to the end, or the error code if the connection breaks. */
  ask(): Promise<Buffer | string>;
  connect(): net.Socket;
  readonly file: string;
}

/** Serves on a socket until the test ends. By default it is a plain one of systemd, and refuses every request. */
export async function serve(
  t: TestContext,
  wire: LoadWire = PLAIN_WIRE,
  identify: () => LoadRequest = () => REQUEST,
  isHandedOver = true,
): Promise<Served> {
  const manager = new FakeServiceManager();
  const log: string[] = [];
  const file = path.join(temporaryDirectory(t), 'load');
  const server = new LoadServer({
    wire,
    manager,
    log: createLog((line) => void log.push(line), false),
    identify,
    answer: () => (typeof served.answer === 'function' ? served.answer() : served.answer),
  });
  const clients: net.Socket[] = [];
  const connect = (): net.Socket => {
    const client = net.connect({ path: file, allowHalfOpen: true }).end();
    clients.push(client);
    return client;
  };
  const served: Served = {
    server,
    manager,
    log,
    answer: { kind: 'refused', reason: 'not_granted' },
    connect,
    file,
    ask: () => readToEnd(connect()),
  };
  // As passed on by systemd: already listening.
  const handedOver = (): InheritedSocket => ({ fd: listenAt(file), name: 'load', isListening: true });
  await server.listen(isHandedOver ? handedOver() : { path: file });
  // The calls of its rehearsal.
  manager.calls.length = 0;
  t.after(async () => {
    // A failed test reads no more; the server must not wait for it.
    for (const client of clients) client.destroy();
    await server.stop();
  });
  return served;
}

/** Returns everything that is received until the end, or the error code if the connection breaks. */
export function readToEnd(socket: net.Socket): Promise<Buffer | string> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

/** Returns a function that answers every request with this value. */
export const value = (text: string): (() => LoadAnswer) => {
  // The bytes are wiped after use, so each answer gets its own.
  return () => ({ kind: 'value', bytes: Buffer.from(text) });
};

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)') as unknown as (...numbers: number[]) => number;
const bind = libc.func('int bind(int, uint8_t *, uint32_t)') as unknown as (
  fd: number,
  address: Buffer,
  bytes: number,
) => number;
const listen = libc.func('int listen(int, int)') as unknown as (fd: number, backlog: number) => number;

/** Makes a descriptor that listens at a path (unix(7)). */
export function listenAt(file: string): number {
  const fd = socket(1, 1, 0);
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(file), Buffer.alloc(1)]);
  assert.equal(bind(fd, address, address.length), 0);
  assert.equal(listen(fd, 128), 0);
  return fd;
}

const SO_PRIORITY = 12;

/** Marks a kept connection, as a process does before it begins to answer. */
export function markBegun(fd: number): void {
  setSocketOption(fd, SO_PRIORITY, 1);
}

/** Tells whether a connection is marked in this way. */
export function isMarkedBegun(fd: number): boolean {
  return getSocketOption(fd, SO_PRIORITY, 4).readInt32LE(0) === 1;
}

/**
 * Calls `work` before each write to a descriptor, in which it may throw, and `onFull` after a write that the kernel
 * refused.
 */
export function beforeWrites(t: TestContext, work: (fd: number) => void, onFull: () => void = () => undefined): void {
  const { writeSync } = fs;
  const mocked = t.mock.method(fs, 'writeSync', (fd: number, bytes: Uint8Array, offset: number) => {
    work(fd);
    try {
      return writeSync(fd, bytes, offset);
    } catch (error) {
      onFull();
      throw error;
    }
  });
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}
