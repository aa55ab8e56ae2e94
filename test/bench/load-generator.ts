/**
 * The process that makes the calls, to the daemon and to the servers that it is compared with, with the same code on
 * the same kind of connections. It only looks for the NULs in replies. A call is one write, as from a real client.
 * Started by `Load`, with the seed of the random names.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeCall } from './calls.ts';
import type { Plan } from './calls.ts';
import type { LoadRequest, LoadReply, Pipelined, Streamed } from './load.ts';
import { concurrent } from './concurrent-clients.ts';
import { whileListening } from './listening.ts';
import { countMessages } from './nul.ts';
import { cpuMsOf } from './processor-time.ts';
import { quantile } from './statistics.ts';
import { Random } from '../torture/random.ts';

/** Limit of the calls prepared before the clock starts; a longer block repeats them. */
const PREPARED_CALLS_MAX = 4096;

/** Time for a server to accept waiting connections, in ms. */
const BACKLOG_WAIT_MS = 5;

interface Server {
  readonly pid: number;
  readonly sockets: readonly Socket[];
}

const random = new Random(Number(process.argv[2]));
const below = (limit: number): number => random.below(limit);
const servers = new Map<string, Server>();

process.on('message', (request: LoadRequest) => {
  answer(request).then(
    (result) => send({ result }),
    (error: unknown) => send({ error: error instanceof Error ? (error.stack ?? error.message) : 'unknown error' }),
  );
});
process.on('disconnect', () => process.exit());

function send(reply: LoadReply): void {
  process.send?.(reply);
}

async function answer(request: LoadRequest): Promise<unknown> {
  switch (request.kind) {
    case 'open': {
      const { server, socketPath, pid, connections } = request;
      const sockets: Socket[] = [];
      while (sockets.length < connections) sockets.push(await open(socketPath));
      servers.set(server, { pid, sockets });
      return undefined;
    }
    case 'close':
      for (const socket of serverOf(request.server).sockets) socket.destroy();
      servers.delete(request.server);
      return undefined;
    case 'sample':
      return (await sample(socketOf(request.server), encodeCall(request.plan, 0))).toString('base64');
    case 'one at a time':
      return oneAtATime(socketOf(request.server), prepare(request.plan, request.calls), request);
    case 'pipelined':
      return pipelined(request);
    case 'concurrent': {
      const { pid, sockets } = serverOf(request.server);
      return concurrent(sockets, pid, prepare(request.plan, Infinity), request.durationMs);
    }
    case 'stream':
      return stream(socketOf(request.server), encodeCall(request.plan, 0), request.messages);
  }
}

/**
 * Connects, and retries if the server has not accepted earlier connections yet: on a Unix socket, a full backlog is
 * EAGAIN.
 */
async function open(socketPath: string): Promise<Socket> {
  for (;;) {
    const socket = connect(socketPath);
    try {
      await once(socket, 'connect');
      // A broken connection is closed, which is reported to the work that waits for a reply.
      return socket.on('error', () => undefined);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await delay(BACKLOG_WAIT_MS);
    }
  }
}

function serverOf(name: string): Server {
  const server = servers.get(name);
  if (server === undefined) throw new Error(`there is no connection to ${name}`);
  return server;
}

function socketOf(server: string): Socket {
  const [socket] = serverOf(server).sockets;
  if (socket === undefined) throw new Error(`there is no connection to ${server}`);
  return socket;
}

/** Returns the reply to one call, with its NUL. */
function sample(socket: Socket, call: Buffer): Promise<Buffer> {
  return whileListening([socket], (listen, done) => {
    let reply: Buffer = Buffer.alloc(0);
    listen(socket, (chunk) => {
      reply = Buffer.concat([reply, chunk]);
      if (countMessages(chunk) > 0) done(reply);
    });
    socket.write(call);
  });
}

/** @returns a quantile of the times from a call to its reply, in µs */
function oneAtATime(
  socket: Socket,
  calls: readonly Buffer[],
  { calls: count, part }: { readonly calls: number; readonly part: number },
): Promise<number> {
  return whileListening([socket], (listen, done) => {
    const times = new Float64Array(count);
    let place = 0;
    let startedMs = 0;
    const next = (): void => {
      const call = callAt(calls, place);
      startedMs = performance.now();
      socket.write(call);
    };
    listen(socket, (chunk) => {
      if (countMessages(chunk) === 0) return;
      times[place] = performance.now() - startedMs;
      place += 1;
      if (place < count) next();
      else done(quantile(times.toSorted(), part) * 1000);
    });
    next();
  });
}

/** Makes one call that is answered by several messages. */
function stream(socket: Socket, call: Buffer, messages: number): Promise<Streamed> {
  return whileListening([socket], (listen, done) => {
    const startedMs = performance.now();
    let received = 0;
    let bytes = 0;
    let firstMs: number | undefined;
    listen(socket, (chunk) => {
      received += countMessages(chunk);
      bytes += chunk.length;
      if (received > 0) firstMs ??= performance.now() - startedMs;
      if (received >= messages) done({ firstMs: firstMs ?? Number.NaN, ms: performance.now() - startedMs, bytes });
    });
    socket.write(call);
  });
}

/** Keeps `window` calls outstanding on every connection, until so many were made or so much time has passed. */
async function pipelined(request: LoadRequest & { readonly kind: 'pipelined' }): Promise<Pipelined> {
  const { server, plan, calls = Infinity, durationMs = Infinity, window, isTogether = false } = request;
  const { pid, sockets } = serverOf(server);
  const next = callSource(plan, calls);
  const serverCpuMs = cpuMsOf(pid);
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  let sent = 0;
  let answered = 0;
  let bytes = 0;
  const mayGoOn = (): boolean => sent < calls && performance.now() - startedMs < durationMs;
  const make = (socket: Socket, count: number): void => {
    const written: Buffer[] = [];
    for (let made = 0; made < count && sent < calls; made += 1) {
      if (isTogether) written.push(next(sent));
      else socket.write(next(sent));
      sent += 1;
    }
    if (isTogether) socket.write(Buffer.concat(written));
  };
  await whileListening<void>(sockets, (listen, done) => {
    for (const socket of sockets) {
      listen(socket, (chunk) => {
        const count = countMessages(chunk);
        answered += count;
        bytes += chunk.length;
        if (mayGoOn()) make(socket, count);
        else if (answered === sent) done();
      });
    }
    for (const socket of sockets) make(socket, window);
  });
  const ms = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  return {
    calls: answered,
    ms,
    bytes,
    generatorCpuMs: (user + system) / 1000,
    serverCpuMs: cpuMsOf(pid) - serverCpuMs,
  };
}

/**
 * Returns the calls of a plan by their place. Large Creates are encoded one by one, as there would be too many to keep.
 */
function callSource(plan: Plan, count: number): (place: number) => Buffer {
  if (plan.kind === 'create' && plan.perCall > 1) return (place) => encodeCall(plan, place, below);
  const calls = prepare(plan, count);
  return (place) => callAt(calls, place);
}

function prepare(plan: Plan, count: number): readonly Buffer[] {
  // A Create must be new each time.
  const length = plan.kind === 'create' ? count : Math.min(count, PREPARED_CALLS_MAX);
  return Array.from({ length }, (_, place) => encodeCall(plan, place, below));
}

function callAt(calls: readonly Buffer[], place: number): Buffer {
  const call = calls[place % calls.length];
  if (call === undefined) throw new RangeError('there is no call to make');
  return call;
}
