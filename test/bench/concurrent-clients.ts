import type { Socket } from 'node:net';
import { whileListening } from './listening.ts';
import type { Concurrent } from './load.ts';
import { countMessages } from './nul.ts';
import { cpuMsOf } from './processor-time.ts';
import { quantile } from './statistics.ts';

/** Limit of the times kept per block: enough for a 99th percentile, however fast the machine. */
const TIMES_MAX = 1_000_000;

/** Clients that each make one call at a time, and the next after its reply. */
export async function concurrent(
  sockets: readonly Socket[],
  serverPid: number,
  calls: readonly Buffer[],
  durationMs: number,
): Promise<Concurrent> {
  const times = new Float64Array(TIMES_MAX);
  let sent = 0;
  let answered = 0;
  const serverCpuMs = cpuMsOf(serverPid);
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await whileListening<void>(sockets, (listen, done) => {
    for (const socket of sockets) {
      let calledMs = 0;
      const next = (): void => {
        const call = calls[sent % calls.length];
        if (call === undefined) throw new RangeError('there is no call to make');
        sent += 1;
        calledMs = performance.now();
        socket.write(call);
      };
      listen(socket, (chunk) => {
        if (countMessages(chunk) === 0) return;
        const now = performance.now();
        if (answered < TIMES_MAX) times[answered] = now - calledMs;
        answered += 1;
        if (now - startedMs < durationMs) next();
        else if (answered === sent) done();
      });
      next();
    }
  });
  const ms = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  const sorted = times.subarray(0, Math.min(answered, TIMES_MAX)).sort();
  return {
    calls: answered,
    ms,
    p50: quantile(sorted, 0.5) * 1000,
    p99: quantile(sorted, 0.99) * 1000,
    generatorCpuMs: (user + system) / 1000,
    serverCpuMs: cpuMsOf(serverPid) - serverCpuMs,
  };
}
