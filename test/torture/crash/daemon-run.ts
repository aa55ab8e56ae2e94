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

/** Node says 20 when nobody caught an error (its account ends with its version, not with the message), and more of one with a cause. */
const LAST_LINES = 50;

/** Longest time that a daemon takes from the death that was chosen for it until its tracer has told of it. */
const DEATH_TIMEOUT_MS = 30_000;

/** How long is waited before one looks again for the child of a tracer. */
const CHILD_PAUSE_MS = 10;

/** A change of a file, or the moment at which one is on the disk: the n-th time that the main thread makes this system call. */
export interface Moment {
  readonly call: FileCall;
  readonly count: number;
}

/** What changes files: SQLite's calls, and those of Node's for a key file, a lock, a socket, a copy. */
export type FileCall = 'pwrite64' | 'fsync' | 'ftruncate' | 'unlink' | 'rename' | 'link' | 'write' | 'fchmod' | 'mkdir';

/** What becomes of a daemon, under strace. */
interface Fate {
  /** It is killed when it is about to do this. */
  readonly dieBefore?: Moment | undefined;
  /** What it does is written into files that begin so, see {@link traced}. */
  readonly traceTo?: string;
}

/** A daemon that is there to be killed. */
export class DaemonRun {
  readonly #daemon: Daemon;
  readonly #isTraced: boolean;
  #isKilled = false;

  /** @param fate neither: it lives until it is killed */
  constructor(scope: Scope, directories: { readonly state: string; readonly run: string }, fate: Fate = {}) {
    this.#daemon = new Daemon(scope, {
      stateDirectory: directories.state,
      runtimeDirectory: directories.run,
      args: DAEMON_ARGUMENTS,
      command: [...tracerOf(fate), ...DAEMON_COMMAND],
    });
    this.#isTraced = tracerOf(fate).length > 0;
    // Before the tracer, which would leave it running, holding on to its output.
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
   * How it ended, where that was not by SIGKILL: no daemon here is to end so. Undefined while it runs. A tracer ends as what it
   * traces does (strace(1), "EXIT STATUS").
   */
  get failure(): string | undefined {
    const { exit } = this.#daemon.service;
    if (exit === undefined || exit.signal === 'SIGKILL') return undefined;
    return `it ended with ${exit.signal ?? `exit code ${exit.code}`}: ${lastWords(this.#daemon.log)}`;
  }

  /** Why nobody can work with it. */
  get account(): string {
    return this.failure ?? `${this.hasEnded ? 'it was killed' : 'it runs'}: ${lastWords(this.#daemon.log)}`;
  }

  /** Resolves once it is gone. */
  get gone(): Promise<unknown> {
    return this.#daemon.service.exited;
  }

  /** For a daemon that broke a connection: kills it where it is not just dying. Gives what is wrong with its end. */
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

  /** Undefined where it died before it was ready. */
  async ready(): Promise<CredentialClient | undefined> {
    try {
      return await until(this.#daemon.service, () => this.connect().catch(() => undefined), READY_TIMEOUT_MS);
    } catch (error) {
      if (this.hasEnded) return undefined;
      throw error;
    }
  }

  /** Kills the daemon itself: a tracer that is killed would leave it running. Gives {@link failure}. */
  async kill(): Promise<string | undefined> {
    while (!this.hasEnded) {
      const pids = this.#isTraced ? childrenOf(this.#daemon.pid) : [this.#daemon.pid];
      for (const pid of pids) this.#isKilled = signalIfThere(pid, 'SIGKILL') || this.#isKilled;
      // The kernel may leave a child out that is just running (proc(5)), a tracer has children of its own at first, and it ends
      // a little later than what it traces.
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

/** How to run a command so that it is killed before it does this. strace counts each system call by itself, and those of each thread. */
export function killedBefore({ call, count }: Moment): string[] {
  // Some architectures have only the newer calls of a kind (arm64: unlinkat, renameat); "?" is for a name that strace does not know.
  const calls = [call, `${call}at`, `${call}at2`].map((name) => `?${name}`).join(',');
  const inject = `--inject=${calls}:signal=SIGKILL:when=${count}`;
  return ['strace', '-f', '-qq', '-o', '/dev/null', `--trace=${calls}`, inject];
}

/** What a daemon said last, in one line: where it was ended by an error that nobody caught, that is Node's account of it. */
export function lastWords(log: string): string {
  return log.trimEnd().split('\n').slice(-LAST_LINES).join(' | ');
}
