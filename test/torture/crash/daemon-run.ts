import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { DAEMON_ARGUMENTS, DAEMON_COMMAND } from '../../bench/servers.ts';
import { Daemon } from '../../support/daemon.ts';
import { signalIfThere, until } from '../../support/process.ts';
import { traced } from '../power/trace.ts';
import { atEnd } from '../../support/scope.ts';
import type { Scope } from '../../support/scope.ts';

const READY_TIMEOUT_MS = 60_000;

/**
 * Node prints 20 lines for an uncaught error (its report ends with its version, not with the message), and more for one
 * with a cause.
 */
const LAST_LINES = 50;

/** Longest time from the chosen death of a daemon to its tracer's end, in ms. */
const DEATH_TIMEOUT_MS = 30_000;

/** Pause between looks for the child of a tracer, in ms. */
const CHILD_PAUSE_MS = 10;

/** A change of a file, or the sync of one: the n-th time that the main thread makes this system call. */
export interface Moment {
  readonly call: FileCall;
  readonly count: number;
}

/** The system calls that change files: SQLite's, and Node's for a key file, a lock, a socket or a copy. */
export type FileCall = 'pwrite64' | 'fsync' | 'ftruncate' | 'unlink' | 'rename' | 'link' | 'write' | 'fchmod' | 'mkdir';

/** What strace does with a daemon: kills it at some moment, or records its system calls. */
interface Fate {
  /** It is killed just before it does this. */
  readonly dieBefore?: Moment | undefined;
  /** Its system calls are recorded in files whose names begin so, see {@link traced}. */
  readonly traceTo?: string;
}

/** A daemon that is to be killed. */
export class DaemonRun {
  readonly #daemon: Daemon;
  readonly #isTraced: boolean;
  #isKilled = false;

  /** @param fate by default, it lives until it is killed */
  constructor(scope: Scope, directories: { readonly state: string; readonly run: string }, fate: Fate = {}) {
    this.#daemon = new Daemon(scope, {
      stateDirectory: directories.state,
      runtimeDirectory: directories.run,
      args: DAEMON_ARGUMENTS,
      command: [...tracerOf(fate), ...DAEMON_COMMAND],
    });
    this.#isTraced = tracerOf(fate).length > 0;
    // Before the tracer, whose death would leave the daemon running, with its output open.
    atEnd(scope, async () => void (await this.kill()));
  }

  get hasEnded(): boolean {
    return this.#daemon.service.exit !== undefined;
  }

  /** Whether {@link kill} found it alive. */
  get isKilled(): boolean {
    return this.#isKilled;
  }

  /**
   * How it ended if that was not by SIGKILL, which is always an error here. Undefined while it runs. A tracer ends as
   * its tracee does (strace(1), "EXIT STATUS").
   */
  get failure(): string | undefined {
    const { exit } = this.#daemon.service;
    if (exit === undefined || exit.signal === 'SIGKILL') return undefined;
    return `it ended with ${exit.signal ?? `exit code ${exit.code}`}: ${lastWords(this.#daemon.log)}`;
  }

  /** Why the daemon cannot be used, for a report. */
  get account(): string {
    return this.failure ?? `${this.hasEnded ? 'it was killed' : 'it runs'}: ${lastWords(this.#daemon.log)}`;
  }

  /** Resolves once it has ended. */
  get gone(): Promise<unknown> {
    return this.#daemon.service.exited;
  }

  /**
   * Waits for the end of a daemon that broke a connection, and kills it if it does not end. Returns what is wrong with
   * its end.
   */
  async end(): Promise<string | undefined> {
    await Promise.race([this.gone, sleep(DEATH_TIMEOUT_MS, undefined, { ref: false })]);
    const failure = await this.kill();
    return this.#isKilled ? 'it breaks a connection, and lives' : failure;
  }

  get socketPath(): string {
    return this.#daemon.socketPath;
  }

  connect(): Promise<CredentialClient> {
    return connect({ socket: this.socketPath });
  }

  /** Resolves with a client once the daemon is ready; undefined if it died before. */
  async ready(): Promise<CredentialClient | undefined> {
    try {
      return await until(this.#daemon.service, () => this.connect().catch(() => undefined), READY_TIMEOUT_MS);
    } catch (error) {
      if (this.hasEnded) return undefined;
      throw error;
    }
  }

  /** Kills the daemon itself, as a killed tracer would leave it running. Returns {@link failure}. */
  async kill(): Promise<string | undefined> {
    while (!this.hasEnded) {
      const pids = this.#isTraced ? childrenOf(this.#daemon.pid) : [this.#daemon.pid];
      for (const pid of pids) this.#isKilled = signalIfThere(pid, 'SIGKILL') || this.#isKilled;
      // Repeated: /proc may omit a running child (proc(5)), a tracer has children of its own at first, and it ends a
      // little later than its tracee.
      await Promise.race([this.gone, sleep(CHILD_PAUSE_MS)]);
    }
    await this.gone;
    return this.failure;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function tracerOf({ dieBefore, traceTo }: Fate): string[] {
  if (traceTo !== undefined) return traced(traceTo);
  return dieBefore === undefined ? [] : killedBefore(dieBefore);
}

/**
 * Returns the command prefix that kills a command just before this system call. strace counts each system call and each
 * thread by itself.
 */
export function killedBefore({ call, count }: Moment): string[] {
  // Some architectures have only the newer calls of a kind (arm64: unlinkat, renameat); "?" allows names that strace
  // does not know.
  const calls = [call, `${call}at`, `${call}at2`].map((name) => `?${name}`).join(',');
  const inject = `--inject=${calls}:signal=SIGKILL:when=${count}`;
  return ['strace', '-f', '-qq', '-o', '/dev/null', `--trace=${calls}`, inject];
}

/** Returns the last output of a daemon in one line: after an uncaught error, Node's report of it. */
export function lastWords(log: string): string {
  return log.trimEnd().split('\n').slice(-LAST_LINES).join(' | ');
}
