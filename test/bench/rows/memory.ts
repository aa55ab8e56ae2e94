import { setTimeout as delay } from 'node:timers/promises';
import type { Daemon } from '../../support/daemon.ts';
import { Service } from '../../support/process.ts';
import { BenchScope } from '../bench-scope.ts';
import type { Plan } from '../calls.ts';
import { difference, ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import { memoryOf } from '../memory.ts';
import type { Memory } from '../memory.ts';
import type { Bench, Row } from '../row.ts';
import { callOnce, FEW, NODE, startDaemonWithFew } from '../servers.ts';
import { nameOf } from '../calls.ts';

const REFERENCE = "node -e 'setInterval(()=>{},1e9)', started at the same time";
const MADE_OF =
  'what a bare Node does not load: SQLite, libsodium, koffi, the daemon’s own code; for some seconds also garbage of the start';
const IDLE_SCRIPT = 'setInterval(()=>{},1e9)';
/** Time after which everything is loaded, and garbage of the start is still there. */
const STARTED_MS = 2000;
/** Time after which V8 has collected the garbage of an idle process, and its memory no longer changes. */
const SETTLED_MS = 20_000;

const CONNECTIONS = 8;
const GETS: Plan = { kind: 'get', credentials: FEW, order: 'in turn' };

/** The memory of a daemon and of an idle Node at the same moment. */
interface Pair {
  readonly daemon: Memory;
  readonly idle: Memory;
}

/** The memory of an idle daemon. The quick form does not wait until it has settled. */
export const idleMemory: Row = {
  id: 'memory',
  async measure({ choose }: Bench): Promise<Measurement[]> {
    const settledMs = choose(SETTLED_MS, 0);
    const started: Pair[] = [];
    const settled: Pair[] = [];
    for (let round = 0; round < choose(3, 1); round += 1) {
      await using scope = new BenchScope();
      const idle = new Service(scope, [NODE, '-e', IDLE_SCRIPT]);
      const daemon = await startDaemonWithFew(scope);
      await callOnce(scope, daemon, 'Get', { name: nameOf(0) });
      const look = (): Pair => ({ daemon: memoryOf(daemon.pid), idle: memoryOf(idle.pid) });
      await delay(STARTED_MS);
      started.push(look());
      if (settledMs === 0) continue;
      await delay(settledMs - STARTED_MS);
      settled.push(look());
    }
    const after = (ms: number): string => `idle daemon, ${ms / 1000} s after its start`;
    const justStarted = compareMemory(after(STARTED_MS), started, settled.length === 0);
    return settled.length === 0 ? justStarted : [...compareMemory(after(settledMs), settled, true), ...justStarted];
  },
};

function compareMemory(what: string, pairs: readonly Pair[], hasBudget: boolean): Measurement[] {
  const line = { row: 'memory', against: REFERENCE, unit: 'MiB' } as const;
  const budget = hasBudget ? ({ kind: 'at most', limit: 30, madeOf: MADE_OF } as const) : undefined;
  const rss = difference(
    { ...line, what: `${what}, RSS`, budget },
    pairs.map(({ daemon }) => daemon.rss),
    pairs.map(({ idle }) => idle.rss),
  );
  const known = pairs.filter(({ daemon }) => daemon.pss !== undefined);
  if (known.length === 0)
    return [{ ...rss, note: 'only root that may trace (CAP_SYS_PTRACE) can read the Pss of the daemon' }];
  const pss = difference(
    { ...line, what: `${what}, Pss` },
    known.map(({ daemon }) => daemon.pss ?? Number.NaN),
    known.map(({ idle }) => idle.pss ?? Number.NaN),
  );
  return [rss, pss];
}

/** The memory of a daemon after a load. */
export const loadedMemory: Row = {
  id: 'memory-load',
  async measure({ scope, load, choose }: Bench): Promise<Measurement[]> {
    const daemon = await startDaemonWithFew(scope);
    const settleMs = choose(SETTLED_MS, STARTED_MS);
    await delay(settleMs);
    const before = memoryOf(daemon.pid);
    const target = await load.open(daemon, CONNECTIONS);
    const seconds = choose(20, 3);
    const { calls } = await target.pipelined(GETS, { durationMs: seconds * 1000 });
    const during = memoryOf(daemon.pid);
    await target.close();
    await delay(settleMs);
    const after = memoryOf(daemon.pid);
    const line = {
      row: 'memory-load',
      what: `RSS after ${seconds} s of load`,
      against: 'RSS of the same daemon before',
      unit: 'MiB',
      note: `${calls.toLocaleString('en')} calls of Get; ${during.rss.toFixed(1)} MiB at the end of them; Pss ${describePss(before)} before, ${describePss(after)} after`,
    } as const;
    return [difference(line, [after.rss], [before.rss])];
  },
};

const SOAK_SAMPLE_MS = 1000;
/** The part of the time in which code is compiled and caches fill. */
const SOAK_WARM_UP_PART = 0.1;
/** Limit that allows for noise: garbage that is not collected yet. */
const FLAT_RATIO_MAX = 1.05;

/** Whether the memory of a daemon grows under a long load. */
export const soak: Row = {
  id: 'soak',
  async measure({ scope, load, options }: Bench): Promise<Measurement[]> {
    const daemon = await startDaemonWithFew(scope);
    const target = await load.open(daemon, CONNECTIONS);
    const samples: number[] = [];
    const endsMs = performance.now() + options.soakMinutes * 60_000;
    let gets = 0;
    let creates = 0;
    // What clients do: reads, new versions of existing credentials, and short connections.
    while (performance.now() < endsMs) {
      gets += (await target.pipelined(GETS, { durationMs: SOAK_SAMPLE_MS })).calls;
      creates += (await target.pipelined({ kind: 'replace', credentials: FEW }, { calls: 256, window: 4 })).calls;
      await connectOnce(daemon);
      samples.push(memoryOf(daemon.pid).rss);
    }
    await target.close();
    const warm = samples.slice(Math.floor(samples.length * SOAK_WARM_UP_PART));
    const fifth = Math.max(1, Math.floor(warm.length / 5));
    const line = {
      row: 'soak',
      what: `RSS in the last fifth of ${options.soakMinutes} min of load`,
      against: `RSS in the first fifth, after a warm-up of ${SOAK_WARM_UP_PART * 100} % of the time`,
      unit: 'MiB',
      budget: {
        kind: 'at most',
        limit: FLAT_RATIO_MAX,
        madeOf: 'garbage that is not collected yet, or a leak: a longer run tells',
      },
      note: `${gets.toLocaleString('en')} calls of Get, ${creates.toLocaleString('en')} of Create; at most ${Math.max(...samples).toFixed(1)} MiB`,
    } as const;
    return [ratio(line, warm.slice(-fifth), warm.slice(0, fifth))];
  },
};

async function connectOnce(daemon: Daemon): Promise<void> {
  await using scope = new BenchScope();
  await callOnce(scope, daemon, 'Status');
}

function describePss({ pss }: Memory): string {
  return pss === undefined ? 'not known' : `${pss.toFixed(1)} MiB`;
}
