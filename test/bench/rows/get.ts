import type { Plan } from '../calls.ts';
import { describeLoad, rateOf, WINDOW } from '../load.ts';
import type { LoadTarget, Pipelined, Target } from '../load.ts';
import { ratio } from '../measurement.ts';
import type { Line, Measurement } from '../measurement.ts';
import { takeTurns } from '../one-processor.ts';
import type { Bench, Row } from '../row.ts';
import {
  BYTE_ECHO_SERVER,
  ECHO_SERVER,
  FEW,
  startByteEchoServer,
  startDaemonWithFew,
  startEchoServer,
} from '../servers.ts';
import { interleave } from '../statistics.ts';

const PLAN: Plan = { kind: 'get', credentials: FEW, order: 'in turn' };
const CONNECTIONS = 8;
const MADE_OF =
  'half of a Get is the kernel, JSON and decoding text, of which the reference has the kernel alone; the rest is Node’s streams and many small things';
/** Calls whose times make one median. */
const CALLS_PER_BLOCK = 1000;

/** `Get` on one connection, one call at a time. */
export const getOneAtATime: Row = {
  id: 'get-one',
  async measure(bench: Bench): Promise<Measurement[]> {
    const { daemon, echo, bytes, servers } = await openAll(bench, 1);
    takeTurns(bench.scope, bench.load, servers);
    const block = (target: LoadTarget) => (): Promise<number> => target.oneAtATime(PLAN, CALLS_PER_BLOCK);
    const candidates = { daemon: block(daemon), echo: block(echo), bytes: block(bytes) };
    // The code of all three servers is compiled before the measurement.
    await interleave(3, candidates);
    const times = await interleave(bench.choose(60, 15), candidates);
    const line = { row: 'get-one', what: 'Get, one at a time, p50', unit: 'µs' } as const;
    const budget = { kind: 'at most', limit: 2, madeOf: MADE_OF } as const;
    return [
      ratio({ ...line, against: ECHO_SERVER, budget }, times.daemon, times.echo),
      ratio({ ...line, what: '… against raw bytes', against: BYTE_ECHO_SERVER }, times.daemon, times.bytes),
    ];
  },
};

/** `Get` on eight connections, each of which always has a window of calls outstanding. */
export const getPipelined: Row = {
  id: 'get-pipelined',
  async measure(bench: Bench): Promise<Measurement[]> {
    const { daemon, echo, bytes } = await openAll(bench, CONNECTIONS);
    const durationMs = bench.choose(700, 300);
    const block = (target: LoadTarget, isTogether: boolean) => async (): Promise<Pipelined> =>
      target.pipelined(PLAN, { durationMs, isTogether });
    const candidates = {
      daemon: block(daemon, false),
      echo: block(echo, false),
      bytes: block(bytes, false),
      daemonTogether: block(daemon, true),
      echoTogether: block(echo, true),
    };
    await interleave(1, candidates);
    const results = await interleave(bench.choose(25, 4), candidates);
    const line = { row: 'get-pipelined', what: `Get, ${CONNECTIONS} × ${WINDOW} pipelined`, unit: '/s' } as const;
    const budget = { kind: 'at least', limit: 0.4, madeOf: MADE_OF } as const;
    return [
      compareRates({ ...line, against: ECHO_SERVER, budget }, results.daemon, results.echo),
      compareRates({ ...line, what: '… against raw bytes', against: BYTE_ECHO_SERVER }, results.daemon, results.bytes),
      compareRates(
        { ...line, what: '… calls that become due together in one write', against: ECHO_SERVER },
        results.daemonTogether,
        results.echoTogether,
      ),
    ];
  },
};

async function openAll(
  { scope, load }: Bench,
  connections: number,
): Promise<{ daemon: LoadTarget; echo: LoadTarget; bytes: LoadTarget; servers: readonly Target[] }> {
  const daemonServer = await startDaemonWithFew(scope);
  const daemon = await load.open(daemonServer, connections);
  const echoServer = await startEchoServer(scope, await daemon.sample(PLAN));
  const echo = await load.open(echoServer, connections);
  const byteServer = await startByteEchoServer(scope);
  const bytes = await load.open(byteServer, connections);
  for (const target of [daemon, echo, bytes]) scope.after(() => target.close());
  return { daemon, echo, bytes, servers: [daemonServer, echoServer, byteServer] };
}

function compareRates(line: Line, measured: readonly Pipelined[], reference: readonly Pipelined[]): Measurement {
  const note = `${describeLoad(measured)}; the reference: ${describeLoad(reference)}`;
  return ratio({ ...line, note }, measured.map(rateOf), reference.map(rateOf));
}
