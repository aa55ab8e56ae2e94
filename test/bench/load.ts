import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { Scope } from '../support/scope.ts';
import type { Plan } from './calls.ts';
import { NODE } from './servers.ts';
import { spreadOf } from './statistics.ts';

/** Calls outstanding per connection in the rows that pipeline. */
export const WINDOW = 64;

export type LoadRequest =
  | {
      readonly kind: 'open';
      readonly server: string;
      readonly socketPath: string;
      readonly pid: number;
      readonly connections: number;
    }
  | { readonly kind: 'close'; readonly server: string }
  | { readonly kind: 'sample'; readonly server: string; readonly plan: Plan }
  | {
      readonly kind: 'one at a time';
      readonly server: string;
      readonly plan: Plan;
      readonly calls: number;
      /** The quantile of the times; 0.5 is the median. */
      readonly part: number;
    }
  | {
      readonly kind: 'pipelined';
      readonly server: string;
      readonly plan: Plan;
      /** Whichever comes first. */
      readonly calls?: number;
      readonly durationMs?: number;
      readonly window: number;
      /** Whether calls that become due at the same time are one write, which no real client does. */
      readonly isTogether?: boolean;
    }
  | { readonly kind: 'concurrent'; readonly server: string; readonly plan: Plan; readonly durationMs: number }
  | { readonly kind: 'stream'; readonly server: string; readonly plan: Plan; readonly messages: number };

export type LoadReply = { readonly result: unknown } | { readonly error: string };

/** The result of pipelined calls. */
export interface Pipelined {
  readonly calls: number;
  readonly ms: number;
  /** Bytes of the replies. */
  readonly bytes: number;
  /** Processor time of either side; their sum may exceed `ms`, neither of them can. */
  readonly generatorCpuMs: number;
  readonly serverCpuMs: number;
}

/** The result of clients that each made one call at a time. */
export interface Concurrent extends Omit<Pipelined, 'bytes'> {
  /** From a call to its reply, over all clients, in µs. */
  readonly p50: number;
  readonly p99: number;
}

/** The result of a call with many replies. */
export interface Streamed {
  readonly firstMs: number;
  readonly ms: number;
  readonly bytes: number;
}

/** A server to make calls to. */
export interface Target {
  readonly socketPath: string;
  readonly pid: number;
}

/** The load generator: a process of its own, which makes one block of calls after another. */
export class Load {
  readonly #seed: number;
  #process: ChildProcess;
  #targets = 0;

  /** @param seed of the random names */
  constructor(scope: Scope, seed: number) {
    this.#seed = seed;
    this.#process = start(seed);
    scope.after(() => void this.#process.kill('SIGKILL'));
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error('the load generator cannot be started');
    return pid;
  }

  /** Drops all connections, and any work under way. */
  restart(): void {
    this.#process.kill('SIGKILL');
    this.#process = start(this.#seed);
  }

  async open({ socketPath, pid }: Target, connections: number): Promise<LoadTarget> {
    this.#targets += 1;
    const server = `server ${this.#targets}`;
    await this.#ask({ kind: 'open', server, socketPath, pid, connections });
    return new LoadTarget(server, (request) => this.#ask(request));
  }

  #ask(request: LoadRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error('the load generator ended'));
      this.#process.once('exit', onExit);
      this.#process.once('message', (reply: LoadReply) => {
        this.#process.off('exit', onExit);
        if ('error' in reply) reject(new Error(reply.error));
        else resolve(reply.result);
      });
      this.#process.send(request);
    });
  }
}

function start(seed: number): ChildProcess {
  const script = path.join(import.meta.dirname, 'load-generator.ts');
  return fork(script, [String(seed)], { execPath: NODE, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

/** A server with connections from the load generator. */
export class LoadTarget {
  readonly #server: string;
  readonly #ask: (request: LoadRequest) => Promise<unknown>;

  constructor(server: string, ask: (request: LoadRequest) => Promise<unknown>) {
    this.#server = server;
    this.#ask = ask;
  }

  /** Returns the reply to the first call of a plan, with its NUL. @throws Error if it is an error */
  async sample(plan: Plan): Promise<Buffer> {
    const base64 = (await this.#ask({ kind: 'sample', server: this.#server, plan })) as string;
    const reply = Buffer.from(base64, 'base64');
    if (reply.includes('"error"')) throw new Error(`the daemon refuses a call: ${reply.toString()}`);
    return reply;
  }

  /**
   * @param part the quantile of the times
   * @returns the time from a call to its reply, in µs
   */
  async oneAtATime(plan: Plan, calls: number, part = 0.5): Promise<number> {
    return (await this.#ask({ kind: 'one at a time', server: this.#server, plan, calls, part })) as number;
  }

  async pipelined(
    plan: Plan,
    load: { readonly calls?: number; readonly durationMs?: number; readonly window?: number; isTogether?: boolean },
  ): Promise<Pipelined> {
    const { window = WINDOW, ...rest } = load;
    const request = { kind: 'pipelined', server: this.#server, plan, window, ...rest } as const;
    return (await this.#ask(request)) as Pipelined;
  }

  /** Every connection makes its next call after the reply to the last one. */
  async concurrent(plan: Plan, durationMs: number): Promise<Concurrent> {
    return (await this.#ask({ kind: 'concurrent', server: this.#server, plan, durationMs })) as Concurrent;
  }

  /** @param messages the number of replies to the call */
  async stream(plan: Plan, messages: number): Promise<Streamed> {
    return (await this.#ask({ kind: 'stream', server: this.#server, plan, messages })) as Streamed;
  }

  async close(): Promise<void> {
    await this.#ask({ kind: 'close', server: this.#server });
  }
}

/** Calls per second. */
export function rateOf({ calls, ms }: Pick<Pipelined, 'calls' | 'ms'>): number {
  return (calls / ms) * 1000;
}

/** Describes how busy both sides were: as long as the load generator has time left, it is not what is measured. */
export function describeLoad(results: readonly Omit<Pipelined, 'bytes'>[]): string {
  const median = (value: (result: Omit<Pipelined, 'bytes'>) => number): number => spreadOf(results.map(value)).median;
  const server = median(({ serverCpuMs, ms }) => (100 * serverCpuMs) / ms);
  const perCall = median(({ serverCpuMs, calls }) => (1000 * serverCpuMs) / calls);
  const generator = median(({ generatorCpuMs, ms }) => (100 * generatorCpuMs) / ms);
  return `server ${server.toFixed(0)} % busy (${perCall.toFixed(1)} µs a call), generator ${generator.toFixed(0)} %`;
}
