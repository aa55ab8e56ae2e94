import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { findCommand, skipUnless, tracer } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { rateOf, WINDOW } from '../load.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { callOnce, NODE, startInstalledDaemon } from '../servers.ts';
import { interleave } from '../statistics.ts';

const REFERENCE =
  'better-sqlite3 alone: one insert per transaction, of a random key of 16 bytes (unique) and 454 bytes (what the daemon seals for one credential); WAL, synchronous=FULL, same file system';
const MADE_OF =
  'where a sync is fast, SQLite needs for each record and its checkpoint a third of the time of a whole bare insert; group commit gains most where a sync is slow (--only create-slow-disk)';
const CONNECTIONS = 8;
/** Each of these calls waits for its own fsync. */
const CALLS_ONE_AT_A_TIME = 64;
/** Additional time of a sync, as on an ordinary solid-state disk and on a rotating one. */
const SYNC_TIMES_MS = [1, 5];

/** Durably storing one credential per call. */
export const create: Row = {
  id: 'create',
  async measure(bench: Bench): Promise<Measurement[]> {
    const { choose } = bench;
    // As many of both, since a commit touches more pages of a larger store.
    const calls = choose(1024, 512);
    const counts = { calls, alone: CALLS_ONE_AT_A_TIME, bare: calls, rounds: choose(24, 6) };
    return compare(bench, { row: 'create', suffix: '', wrapper: [] }, counts);
  },
};

/** The same with slow syncs, which calls that are committed together share. */
export const createSlowDisk: Row = {
  id: 'create-slow-disk',
  async measure(bench: Bench): Promise<Measurement[]> {
    const missing = skipUnless(tracer);
    const strace = findCommand('strace');
    if (missing !== false || strace === undefined) {
      bench.leaveOut('durable Create on a slow disk', missing || 'needs strace');
      return [];
    }
    const counts = { calls: 512, alone: 32, bare: 64, rounds: bench.choose(10, 3) };
    const measurements: Measurement[] = [];
    for (const ms of SYNC_TIMES_MS) {
      const wrapper = delaySyncs(strace, ms);
      const comparison = { row: 'create-slow-disk', suffix: `, syncs ${ms} ms slower`, wrapper };
      measurements.push(...(await compare(bench, comparison, counts)));
    }
    return measurements;
  },
};

/**
 * Returns the command prefix that delays each sync of a command. Other system calls are not stopped. The command keeps
 * its place in the process tree, with strace as its child.
 */
function delaySyncs(strace: string, ms: number): readonly string[] {
  const calls = 'fsync,fdatasync';
  const inject = `--inject=${calls}:delay_exit=${ms * 1000}`;
  return [strace, '-D', '-f', '--seccomp-bpf', `--trace=${calls}`, inject, '-o', '/dev/null', '--'];
}

interface Comparison {
  readonly row: string;
  /** Appended to the lines' names. */
  readonly suffix: string;
  /** The command prefix of both sides; may be empty. */
  readonly wrapper: readonly string[];
}

/** The number of calls in one measurement of each kind. */
interface CallCounts {
  readonly calls: number;
  readonly alone: number;
  readonly bare: number;
  readonly rounds: number;
}

async function compare(
  { scope, load }: Bench,
  { row, suffix, wrapper }: Comparison,
  counts: CallCounts,
): Promise<Measurement[]> {
  // Each candidate has a store of its own.
  const one = await openStore({ scope, load }, wrapper, 1);
  const eight = await openStore({ scope, load }, wrapper, CONNECTIONS);
  const alone = await openStore({ scope, load }, wrapper, 1);
  const insert = await startBareInserts(scope, wrapper);
  const candidates = {
    one: () => one.create(counts.calls, WINDOW),
    eight: () => eight.create(counts.calls, WINDOW),
    alone: () => alone.create(counts.alone, 1),
    bare: () => insert(counts.bare),
  };
  await interleave(1, candidates);
  const rates = await interleave(counts.rounds, candidates);
  for (const store of [one, eight, alone]) await store.close();
  const line = { row, against: REFERENCE, unit: '/s' } as const;
  const budget = { kind: 'at least', limit: 2, madeOf: MADE_OF } as const;
  const what = 'durable Create,';
  return [
    ratio({ ...line, what: `${what} 1 × ${WINDOW} pipelined${suffix}`, budget }, rates.one, rates.bare),
    ratio({ ...line, what: `${what} ${CONNECTIONS} × ${WINDOW} pipelined${suffix}` }, rates.eight, rates.bare),
    ratio({ ...line, what: `${what} one at a time${suffix}` }, rates.alone, rates.bare),
  ];
}

/** A daemon whose store only grows. */
interface Store {
  /** @returns the number of calls per second, each of which created one credential */
  create(calls: number, window: number): Promise<number>;
  /** @throws Error if a created credential is missing */
  close(): Promise<void>;
}

async function openStore(
  { scope, load }: Pick<Bench, 'scope' | 'load'>,
  wrapper: readonly string[],
  connections: number,
): Promise<Store> {
  const daemon = await startInstalledDaemon(scope, { wrapper });
  const target = await load.open(daemon, connections);
  let created = 0;
  return {
    async create(calls, window) {
      const plan = { kind: 'create', first: created, perCall: 1 } as const;
      created += calls;
      return rateOf(await target.pipelined(plan, { calls, window }));
    },
    async close() {
      const { credentials: stored } = await callOnce(scope, daemon, 'Status');
      if (stored !== created) throw new Error(`${created} credentials were to be stored, not ${String(stored)}`);
      await target.close();
    },
  };
}

/** @returns a function that makes so many inserts and returns their number per second */
async function startBareInserts(scope: Scope, wrapper: readonly string[]): Promise<(count: number) => Promise<number>> {
  const file = path.join(temporaryDirectory(scope, 'cio-bench'), 'bare.db');
  const script = path.join(import.meta.dirname, '..', 'bare-inserts.ts');
  const [execPath, ...execArgv] = [...wrapper, NODE];
  const child = fork(script, [file], { execPath, execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  scope.after(() => void child.kill('SIGKILL'));
  return async (count) => {
    child.send(count);
    const [ms] = (await once(child, 'message')) as [number];
    return (count / ms) * 1000;
  };
}
