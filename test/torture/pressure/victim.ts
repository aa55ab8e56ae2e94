import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { DAEMON_ARGUMENTS, DAEMON_COMMAND } from '../../bench/servers.ts';
import { quantile } from '../../bench/statistics.ts';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import type { Scope } from '../../support/scope.ts';
import { processorWaitMs } from './processor-wait.ts';

/** The name of a value of typical size. */
export const SMALL = 'cio_aws_backup_repo';
/** The name of a value of the largest size. */
export const LARGE = 'large';

const SMALL_VALUE = 's3:https://s3.amazonaws.com/backup-123';
const LARGE_BYTES = 1024 * 1024;
const KIBIBYTE = 1024;

/** Time for a daemon to give back what it held for clients that left, in ms. */
const SETTLE_MS = 30_000;
/** Close enough to before, in MiB: the heap of a process that has worked is a little larger. */
const SETTLED_MEBIBYTES = 8;
const SETTLE_STEP_MS = 100;
const CALLS_PER_STEP = 20;

/** The resources that a daemon holds. */
export interface Holdings {
  /** Undefined if this process may not count them: the daemon is not dumpable, so that takes CAP_SYS_PTRACE. */
  readonly descriptors: number | undefined;
  readonly mebibytes: number;
}

/**
 * Descriptors that may be open for another reason than before: one more connection, a file being read, and the upload
 * of a copy, which is kept for ten minutes.
 */
const DESCRIPTORS_SLACK = 3;

/** Describes how many more descriptors are open than before; undefined if there are none. */
export function leakedDescriptors(before: Holdings, after: Holdings): string | undefined {
  const [were, are] = [before.descriptors, after.descriptors];
  if (were === undefined || are === undefined || are <= were + DESCRIPTORS_SLACK) return undefined;
  return `${are} descriptors are open, ${were} were`;
}

/** For the end of a line of the table. */
export function describeDescriptors(before: Holdings, after: Holdings): string {
  return before.descriptors === undefined ? '' : `; descriptors ${before.descriptors} → ${after.descriptors ?? '?'}`;
}

/** Says why leaks of descriptors could not be checked; undefined if they were. */
export function descriptorsLeftOut({ descriptors }: Holdings): string | undefined {
  return descriptors === undefined
    ? 'descriptors not counted, which needs root that may trace (CAP_SYS_PTRACE)'
    : undefined;
}

/** Time-out of a client that is given no other, in ms. */
const CLIENT_PATIENCE_MS = 30_000;
/** Time in which the end of a process is reported after its connections are closed, in ms. */
const END_MS = 5000;

/** The time-out of these clients, in ms. It is longer, as only the daemon's own share of that time counts. */
const PATIENCE_MS = 300_000;

/**
 * How a client was served that read a small value again and again. Times are without the time for which the daemon
 * waited for a processor, which on a loaded machine is the other processes' share.
 */
export interface Service {
  readonly calls: number;
  readonly failures: number;
  /** The time for which the daemon waited for a processor during all of these calls. */
  readonly processorWaitMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** The error of the first failed call. */
  readonly firstFailure: string | undefined;
}

/** A daemon under pressure. */
export class Victim {
  readonly daemon: Daemon;
  peakMebibytes = 0;
  #seen: Holdings = { descriptors: undefined, mebibytes: 0 };

  private constructor(daemon: Daemon) {
    this.daemon = daemon;
  }

  /** @param prefix runs the daemon, as `prlimit --nofile=…` does */
  static async start(
    scope: Scope,
    prefix: readonly string[] = [],
    stateDirectory?: string,
    args: readonly string[] = DAEMON_ARGUMENTS,
  ): Promise<Victim> {
    const daemon = await startDaemon(scope, {
      command: [...prefix, ...DAEMON_COMMAND],
      args,
      ...(stateDirectory === undefined ? {} : { stateDirectory }),
    });
    return new Victim(daemon);
  }

  /** Stores the two values. */
  async fill(): Promise<void> {
    await using client = await this.connect();
    const credentials = [
      { name: SMALL, value: SMALL_VALUE },
      { name: LARGE, value: 'x'.repeat(LARGE_BYTES) },
    ];
    await client.call('Create', { credentials });
  }

  connect(timeoutMs: number = CLIENT_PATIENCE_MS): Promise<CredentialClient> {
    return connect({ socket: this.daemon.socketPath, timeoutMs });
  }

  /** The resources that the daemon holds; once it has ended, those last seen. */
  get holdings(): Holdings {
    const { pid } = this.daemon;
    const mebibytes = residentMebibytes(pid);
    if (mebibytes !== undefined) this.#seen = { descriptors: countDescriptors(pid), mebibytes };
    this.peakMebibytes = Math.max(this.peakMebibytes, this.#seen.mebibytes);
    return this.#seen;
  }

  get hasEnded(): boolean {
    return this.daemon.service.exit !== undefined;
  }

  /**
   * How it ended, and its last output; undefined if it still runs.
   *
   * @param isMissed whether a client was not served: then its end is awaited
   */
  async end(isMissed: boolean): Promise<string | undefined> {
    const { service } = this.daemon;
    if (isMissed && !this.hasEnded) await Promise.race([service.exited, sleep(END_MS)]);
    const { exit } = service;
    if (exit === undefined) return undefined;
    const how = exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`;
    return `the daemon ended ${how}, and said last: ${this.daemon.lastWords}`;
  }

  /** Reads on one connection, then on a new one for each call, as long as the daemon runs. */
  async serve(calls: number): Promise<Service> {
    const times: number[] = [];
    let failures = 0;
    let waitedMs = 0;
    let isHung = false;
    let firstFailure: string | undefined;
    const ask = async (client: CredentialClient): Promise<void> => {
      const { value } = await client.call('Get', { name: SMALL });
      if (value !== SMALL_VALUE) throw new Error('another value is answered');
    };
    const timed = async (work: () => Promise<void>): Promise<void> => {
      // Once a call has timed out, no more are made.
      if (isHung || this.hasEnded) return;
      const startedMs = performance.now();
      const waitedBeforeMs = processorWaitMs(this.daemon.pid);
      let failure: string | undefined;
      try {
        await work();
      } catch (error) {
        failure = String(error);
        isHung = performance.now() - startedMs >= PATIENCE_MS;
      }
      const callWaitedMs = Math.max(0, processorWaitMs(this.daemon.pid) - waitedBeforeMs);
      const ms = Math.max(0, performance.now() - startedMs - callWaitedMs);
      if (ms > CLIENT_PATIENCE_MS) failure ??= `an answer after ${ms.toFixed(0)} ms`;
      if (failure !== undefined) failures += 1;
      firstFailure ??= failure;
      waitedMs += callWaitedMs;
      times.push(ms);
      void this.holdings;
    };
    await using scope = new AsyncDisposableStack();
    let lasting: CredentialClient | undefined;
    for (let call = 0; call < calls / 2; call += 1) {
      await timed(async () => {
        lasting ??= scope.use(await this.connect(PATIENCE_MS));
        await ask(lasting);
      });
    }
    for (let call = 0; call < calls / 2; call += 1) {
      await timed(async () => {
        await using once = await this.connect(PATIENCE_MS);
        await ask(once);
      });
    }
    const sorted = times.toSorted((a, b) => a - b);
    return {
      calls: times.length,
      failures,
      processorWaitMs: waitedMs,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      longestMs: quantile(sorted, 1),
      firstFailure,
    };
  }

  /**
   * Returns what the daemon holds after the pressing clients have left: as soon as it is close to before, or after a
   * time-out.
   */
  async settled({ descriptors, mebibytes }: Holdings): Promise<Holdings> {
    const deadline = performance.now() + SETTLE_MS;
    const isMore = (now: Holdings): boolean =>
      (now.descriptors ?? 0) > (descriptors ?? 0) || now.mebibytes > mebibytes + SETTLED_MEBIBYTES;
    while (isMore(this.holdings) && !this.hasEnded && performance.now() < deadline) {
      await sleep(SETTLE_STEP_MS);
      // V8 collects no garbage while nothing happens, whereas a daemon in use is called now and then.
      await this.serve(CALLS_PER_STEP);
    }
    return this.holdings;
  }
}

/**
 * Counts all descriptors except those of the database. SQLite keeps these for later connections: closing one would
 * release the locks of all others (fcntl_locking(2)), so there are as many as there were connections at one time. A
 * connection that stays open has the WAL open, too.
 */
function countDescriptors(pid: number): number | undefined {
  const directory = `/proc/${pid}/fd`;
  const isCounted = (descriptor: string): boolean => {
    const target = unlessRefused(ENDED, () => readlinkSync(`${directory}/${descriptor}`));
    return target !== undefined && !target.endsWith('/credentials.db');
  };
  return unlessRefused(['EACCES', ...ENDED], () => readdirSync(directory).filter(isCounted).length);
}

/** Undefined for a process that has ended, even if that is not reported yet. */
function residentMebibytes(pid: number): number | undefined {
  const status = unlessRefused(ENDED, () => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) / KIBIBYTE;
}

/** The errors of /proc for a process that has ended, or that ends while it is read. */
const ENDED: readonly string[] = ['ENOENT', 'ESRCH'];

function unlessRefused<Value>(codes: readonly string[], look: () => Value): Value | undefined {
  try {
    return look();
  } catch (error) {
    if (!codes.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return undefined;
  }
}
