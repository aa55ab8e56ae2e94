import { readFileSync } from 'node:fs';
import { connect } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { DAEMON_ARGUMENTS, DAEMON_COMMAND } from '../../bench/servers.ts';
import { Daemon } from '../../support/daemon.ts';
import { until } from '../../support/process.ts';
import { traced } from '../power/trace.ts';
import type { Scope } from '../../support/scope.ts';

/** Before one of these the disk is as it was; after it, it is not. */
const MOMENTS = 'pwrite64,fsync,fdatasync,ftruncate,rename,unlink,unlinkat';

const READY_TIMEOUT_MS = 60_000;

/** What becomes of a daemon, under strace. */
interface Fate {
  /** It is killed when it is about to make its n-th change of a file. */
  readonly dieBefore?: number | undefined;
  /** What it does is written into files that begin so, see {@link traced}. */
  readonly traceTo?: string;
}

/** A daemon that is there to be killed. */
export class DaemonRun {
  readonly #daemon: Daemon;

  /** @param fate neither: it lives until it is killed */
  constructor(scope: Scope, directories: { readonly state: string; readonly run: string }, fate: Fate = {}) {
    this.#daemon = new Daemon(scope, {
      stateDirectory: directories.state,
      runtimeDirectory: directories.run,
      args: DAEMON_ARGUMENTS,
      command: [...tracerOf(fate), ...DAEMON_COMMAND],
    });
  }

  get hasEnded(): boolean {
    return this.#daemon.service.exit !== undefined;
  }

  get log(): string {
    return this.#daemon.log;
  }

  /** Resolves once it is gone. */
  get gone(): Promise<unknown> {
    return this.#daemon.service.exited;
  }

  connect(): Promise<CredentialClient> {
    return connect({ socket: this.#daemon.socketPath });
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

  /** Kills the daemon itself: a tracer that is killed would leave it running. */
  async kill(): Promise<void> {
    if (!this.hasEnded) for (const pid of this.#pids()) killIfThere(pid);
    await this.gone;
  }

  #pids(): number[] {
    const { pid } = this.#daemon;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
      // A daemon has no children; a tracer has the daemon, and ends with it.
      return children.length > 0 ? children : [pid];
    } catch {
      return [];
    }
  }
}

function tracerOf({ dieBefore, traceTo }: Fate): string[] {
  if (traceTo !== undefined) return traced(traceTo);
  if (dieBefore === undefined) return [];
  const inject = `--inject=${MOMENTS}:signal=SIGKILL:when=${dieBefore}`;
  return ['strace', '-f', '-qq', '-o', '/dev/null', `--trace=${MOMENTS}`, inject];
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
