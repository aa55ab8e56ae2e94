/**
 * The process that makes the calls, for the daemon and for the servers that it is compared with: the same code on the
 * same connections. It does as little as it can with a reply: it looks for the NULs. A call is one write, as it is from
 * a real client. Started by `Load`.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { encodeCall } from './calls.ts';
import type { Plan } from './calls.ts';
import type { LoadRequest, LoadReply, Pipelined } from './load.ts';
import { countMessages } from './nul.ts';
import { quantile } from './statistics.ts';

/** So many calls are made ready before the clock starts; a block that is longer repeats them. */
const PREPARED_CALLS_MAX = 4096;

/** `utime` and `stime` of /proc/<pid>/stat, in ticks of `USER_HZ` (proc_pid_stat(5)). */
const TICK_MS = 10;

interface Server {
  readonly pid: number;
  readonly sockets: readonly Socket[];
}

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
      const sockets = await Promise.all(Array.from({ length: connections }, () => open(socketPath)));
      servers.set(server, { pid, sockets });
      return undefined;
    }
    case 'close':
      for (const socket of socketsOf(request.server)) socket.destroy();
      servers.delete(request.server);
      return undefined;
    case 'sample':
      return (await sample(socketOf(request.server), encodeCall(request.plan, 0))).toString('base64');
    case 'one at a time':
      return oneAtATime(socketOf(request.server), prepare(request.plan, request.calls), request);
    case 'pipelined':
      return pipelined(request);
  }
}

function open(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

function socketsOf(server: string): readonly Socket[] {
  return servers.get(server)?.sockets ?? [];
}

function socketOf(server: string): Socket {
  const [socket] = socketsOf(server);
  if (socket === undefined) throw new Error(`there is no connection to ${server}`);
  return socket;
}

/** The reply to one call, with its NUL. */
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

/** Keeps `window` calls outstanding on every connection, until so many were made or so much time has passed. */
async function pipelined(request: LoadRequest & { readonly kind: 'pipelined' }): Promise<Pipelined> {
  const { server, plan, calls = Infinity, durationMs = Infinity, window, isTogether = false } = request;
  const sockets = socketsOf(server);
  const next = callSource(plan, calls);
  const pid = servers.get(server)?.pid ?? 0;
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

/** The calls of a plan, by their place. Those that store are made one by one where there are too many to be kept. */
function callSource(plan: Plan, count: number): (place: number) => Buffer {
  if (plan.kind === 'create' && plan.perCall > 1) return (place) => encodeCall(plan, place);
  const calls = prepare(plan, count);
  return (place) => callAt(calls, place);
}

function prepare(plan: Plan, count: number): readonly Buffer[] {
  // What is created must be new each time.
  const length = plan.kind === 'create' ? count : Math.min(count, PREPARED_CALLS_MAX);
  return Array.from({ length }, (_, place) => encodeCall(plan, place));
}

function callAt(calls: readonly Buffer[], place: number): Buffer {
  const call = calls[place % calls.length];
  if (call === undefined) throw new RangeError('there is no call to make');
  return call;
}

/** Runs until `done`; fails when one of the connections ends before. */
function whileListening<Result>(
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

function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
