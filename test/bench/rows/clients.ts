import type { Plan } from '../calls.ts';
import { describeLoad, rateOf } from '../load.ts';
import type { Concurrent, LoadTarget } from '../load.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { ECHO_SERVER, FEW, startDaemonWithFew, startEchoServer } from '../servers.ts';
import { interleave } from '../statistics.ts';
import { descriptorLimit } from '../../support/process-limits.ts';

const PLAN: Plan = { kind: 'get', credentials: FEW, order: 'in turn' };
/** The last is as many as the daemon accepts (`CONNECTIONS_MAX`). */
const CLIENTS = [1, 10, 100, 1000] as const;

/** The load generator holds all connections to both servers. */
const SERVERS = 2;
const DESCRIPTORS_BESIDES = 100;

/** `Get` from many clients at once, each of which makes its next call after the reply. */
export const clients: Row = {
  id: 'clients',
  async measure(bench: Bench): Promise<Measurement[]> {
    const measurements: Measurement[] = [];
    for (const count of CLIENTS) {
      const descriptors = SERVERS * count + DESCRIPTORS_BESIDES;
      if (descriptorLimit() >= descriptors) measurements.push(...(await measureClients(bench, count)));
      else {
        const reason = `needs ${descriptors} descriptors in a process, and may have ${descriptorLimit()} (ulimit -Hn)`;
        bench.leaveOut(describe(count), reason);
      }
    }
    return measurements;
  },
};

function describe(count: number): string {
  return `Get, ${count.toLocaleString('en')} ${count === 1 ? 'client' : 'clients'}, one at a time each`;
}

async function measureClients({ scope, load, choose }: Bench, count: number): Promise<Measurement[]> {
  const daemonTarget = await startDaemonWithFew(scope);
  const daemon = await load.open(daemonTarget, count);
  const echo = await load.open(await startEchoServer(scope, await daemon.sample(PLAN)), count);
  const durationMs = choose(1000, 300);
  const block = (target: LoadTarget) => (): Promise<Concurrent> => target.concurrent(PLAN, durationMs);
  const candidates = { daemon: block(daemon), echo: block(echo) };
  await interleave(1, candidates);
  const results = await interleave(choose(12, 4), candidates);
  for (const opened of [daemon, echo]) await opened.close();
  await daemonTarget.stop();
  const what = describe(count);
  const note = `${describeLoad(results.daemon)}; the reference: ${describeLoad(results.echo)}`;
  const line = { row: 'clients', against: ECHO_SERVER } as const;
  return [
    ratio(
      { ...line, what, unit: '/s', point: { plot: 'clients-throughput', x: count }, note },
      results.daemon.map(rateOf),
      results.echo.map(rateOf),
    ),
    ratio(
      { ...line, what: '… p99', unit: 'µs', point: { plot: 'clients-p99', x: count } },
      results.daemon.map(({ p99 }) => p99),
      results.echo.map(({ p99 }) => p99),
    ),
  ];
}
