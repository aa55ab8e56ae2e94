import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import path from 'node:path';
import type { Daemon } from '../../support/daemon.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { RawVarlink } from '../../support/varlink.ts';
import type { Plan } from '../calls.ts';
import type { LoadTarget, Streamed } from '../load.ts';
import { difference, ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import { memoryOf } from '../memory.ts';
import type { Bench, Row } from '../row.ts';
import { startInstalledDaemon, startReplayServer } from '../servers.ts';
import { interleave } from '../statistics.ts';

const PLAN: Plan = { kind: 'list' };
/** Rounds for each size; for long lists, few suffice. */
const ROUNDS = { 1000: 8, 10_000: 5, 100_000: 2 } as const;
const QUICK_ROUNDS = { 1000: 3, 10_000: 2 } as const;
const REFERENCE = 'a server in the same Node that has the same replies in memory and only writes them';
/** Interval at which the daemon's memory is sampled, in ms. */
const SAMPLE_MS = 20;

/** `List` of everything, in batches: the time to the first one and to the last, and the daemon's memory meanwhile. */
export const list: Row = {
  id: 'list',
  async measure(bench: Bench): Promise<Measurement[]> {
    const sizes = Object.entries(bench.options.isQuick ? QUICK_ROUNDS : ROUNDS);
    const measurements: Measurement[] = [];
    for (const [place, [size, rounds]] of sizes.entries()) {
      measurements.push(...(await measureSize(bench, Number(size), rounds, place === sizes.length - 1)));
    }
    return measurements;
  },
};

async function measureSize(
  { scope, load, stores }: Bench,
  credentials: number,
  rounds: number,
  isLargest: boolean,
): Promise<Measurement[]> {
  const { stateDirectory } = await stores.get(credentials);
  const daemon = await startInstalledDaemon(scope, { stateDirectory });
  const file = path.join(temporaryDirectory(scope, 'cio-bench'), 'replies');
  const before = memoryOf(daemon.pid).rss;
  const { result: messages, peak: firstPeak } = await withPeak(daemon.pid, () =>
    recordReplies({ scope }, daemon, credentials, file),
  );
  const replay = await load.open(await startReplayServer(scope, file), 1);
  const target = await load.open(daemon, 1);
  const peaks: number[] = [firstPeak];
  const block = (opened: LoadTarget) => (): Promise<Streamed> => opened.stream(PLAN, messages);
  const results = await interleave(rounds, {
    daemon: async () => {
      const { result, peak } = await withPeak(daemon.pid, block(target));
      peaks.push(peak);
      return result;
    },
    replay: block(replay),
  });
  for (const opened of [target, replay]) await opened.close();
  await daemon.stop();
  const size = credentials.toLocaleString('en');
  const mebibytes = (results.daemon[0]?.bytes ?? 0) / 2 ** 20;
  const line = { row: 'list', against: REFERENCE, unit: 'ms' } as const;
  const first = (streamed: readonly Streamed[]): number[] => streamed.map(({ firstMs }) => firstMs);
  const total = (streamed: readonly Streamed[]): number[] => streamed.map(({ ms }) => ms);
  const point = { plot: 'list-total', x: credentials } as const;
  const note = `${messages} replies, ${mebibytes.toFixed(1)} MiB; every credential is in a set of its own, which is listed too`;
  const whole = ratio(
    { ...line, what: `List of ${size}, to the last batch`, point, note },
    total(results.daemon),
    total(results.replay),
  );
  if (!isLargest) return [whole];
  return [
    ratio({ ...line, what: `List of ${size}, to the first batch` }, first(results.daemon), first(results.replay)),
    whole,
    difference(
      {
        row: 'list',
        what: `List of ${size}, peak RSS`,
        against: 'RSS of the same daemon before',
        unit: 'MiB',
      },
      peaks,
      peaks.map(() => before),
    ),
  ];
}

/**
 * Writes the replies into a file, each with its NUL.
 *
 * @returns how many there are
 */
async function recordReplies(
  { scope }: Pick<Bench, 'scope'>,
  daemon: Daemon,
  credentials: number,
  file: string,
): Promise<number> {
  const connection = await RawVarlink.connect(scope, daemon.socketPath);
  const output = createWriteStream(file);
  let listed = 0;
  let messages = 0;
  connection.send({ method: 'io.cio.Credentials.List', parameters: {}, more: true });
  for (let isLast = false; !isLast;) {
    const reply = await connection.receive();
    if (reply?.parameters === undefined) throw new Error(`List fails: ${reply?.error ?? 'the connection ended'}`);
    listed += (reply.parameters['credentials'] as readonly unknown[]).length;
    messages += 1;
    isLast = reply.continues !== true;
    if (!output.write(`${JSON.stringify(reply)}\0`)) await once(output, 'drain');
  }
  output.end();
  await once(output, 'finish');
  connection.close();
  if (listed !== credentials) throw new Error(`${credentials} credentials were to be listed, not ${listed}`);
  return messages;
}

/** Returns the most memory that a process had during some work, in MiB. */
async function withPeak<Result>(
  pid: number,
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly peak: number }> {
  let peak = memoryOf(pid).rss;
  const sample = setInterval(() => {
    peak = Math.max(peak, memoryOf(pid).rss);
  }, SAMPLE_MS);
  try {
    const result = await work();
    return { result, peak: Math.max(peak, memoryOf(pid).rss) };
  } finally {
    clearInterval(sample);
  }
}
