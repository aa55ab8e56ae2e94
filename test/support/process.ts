import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { HANG_MS } from './hang.ts';
import { atEnd } from './scope.ts';
import type { Scope } from './scope.ts';

/** The exit code or signal of a process. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that has ended, and what it printed. */
export interface Finished extends Exit {
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly cwd?: string;
  /** The whole environment; {@link plainEnvironment} by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const SETPRIV = '/usr/bin/setpriv';
const STOP_TIMEOUT_MS = 20_000;

/**
 * The environment of a test's processes. It has nothing of the environment in which the tests were started, except for
 * NODE_V8_COVERAGE.
 */
export function plainEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    LC_ALL: 'C.UTF-8',
  };
  const coverage = process.env['NODE_V8_COVERAGE'];
  if (coverage !== undefined) environment['NODE_V8_COVERAGE'] = coverage;
  return environment;
}

/**
 * Runs a command and waits for it to end. If it takes longer than the time-out (two minutes by default), it is killed
 * and the promise is rejected.
 */
export async function run(
  command: readonly string[],
  options: ProcessOptions & { readonly input?: string | Uint8Array; readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const [file = '', ...args] = command;
  const { cwd, env = plainEnvironment(), input = '', timeoutMs = HANG_MS } = options;
  const child = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that reads no input may exit before the input is written.
  child.stdin.on('error', () => undefined).end(input);

  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
    // Child processes of the command may outlive it and would keep the streams open.
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }, timeoutMs);
  try {
    const exit = await new Promise<Exit>((resolve, reject) => {
      child.once('error', reject).once('close', (code, signal) => resolve({ code, signal }));
    });
    const finished = { ...exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
    if (isLate) {
      // Both outputs: how much the command had printed shows how far it got.
      const printed = `${finished.stdout.toString()}${finished.stderr}`;
      throw new Error(`${[file, ...args].join(' ')} was still running after ${timeoutMs} ms; it printed: ${printed}`);
    }
    return finished;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a command that must succeed; returns its standard output. */
export async function runSuccessfully(...args: Parameters<typeof run>): Promise<string> {
  const { code, signal, stdout, stderr } = await run(...args);
  if (code !== 0) throw new Error(`${args[0].join(' ')} ended with ${code ?? signal}: ${stderr}${stdout.toString()}`);
  return stdout.toString();
}

/** A process that runs while the test goes on. */
export class Service {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #outputs: readonly Readable[];
  #exit: Exit | undefined;
  #output = '';
  #onOutput: (() => void)[] = [];

  /** Starts the process. It is killed when the scope ends, and by the kernel when the test process dies. */
  constructor(scope: Scope, command: readonly string[], options: ProcessOptions = {}) {
    const lifeline = fs.existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig=KILL', '--'] : [];
    const [file = '', ...args] = [...lifeline, ...command];
    const { cwd, env = plainEnvironment() } = options;
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#outputs = [child.stdout, child.stderr];
    for (const stream of this.#outputs) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        this.#wake();
      });
    }
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject).once('close', (code, signal) => {
        this.#exit = { code, signal };
        this.#wake();
        resolve(this.#exit);
      });
    });
    // Callers that await the promise see the failure; it must not be an unhandled rejection for the others.
    this.exited.catch(() => undefined);
    if (child.pid === undefined) throw new Error(`${file} cannot be run`);
    this.pid = child.pid;
    atEnd(scope, async () => {
      if (this.#exit === undefined) this.#kill();
      await this.exited.catch(() => undefined);
    });
  }

  /** Everything that the process has printed so far, on both outputs. */
  get output(): string {
    return this.#output;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Sends a signal. Does nothing if the process has just ended and this is not known yet. */
  signal(signal: NodeJS.Signals): void {
    signalIfThere(this.pid, signal);
  }

  /** Resolves once the process prints more or ends. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#onOutput.push(resolve));
  }

  /** Resolves once the output contains `text`; rejects if the process ends without that. */
  async printed(text: string): Promise<void> {
    while (!this.#output.includes(text)) {
      if (this.#exit !== undefined) throw new Error(`ended without printing ${JSON.stringify(text)}: ${this.#output}`);
      await this.change();
    }
  }

  /**
   * Sends a signal and waits for the process to end. If it takes longer than 20 seconds, the process is killed and the
   * promise is rejected.
   */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.#exit !== undefined) return this.#exit;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#kill();
    }, STOP_TIMEOUT_MS);
    this.signal(signal);
    const exit = await this.exited;
    clearTimeout(timer);
    if (isLate) throw new Error(`process ${this.pid} did not end on ${signal}: ${this.#output}`);
    return exit;
  }

  #kill(): void {
    this.signal('SIGKILL');
    // Child processes may outlive the process and would keep the streams open.
    for (const stream of this.#outputs) stream.destroy();
  }

  #wake(): void {
    for (const resolve of this.#onOutput.splice(0)) resolve();
  }
}

/** Repeats an attempt until it returns a value. Tries again when the service prints something, and every 20 ms. */
export async function until<Value>(
  service: Service,
  attempt: () => Promise<Value | undefined>,
  timeoutMs = HANG_MS,
): Promise<Value> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (service.exit !== undefined) throw new Error(`process ${service.pid} ended: ${service.output}`);
    if (performance.now() > deadlineMs) throw new Error(`process ${service.pid} is not ready: ${service.output}`);
    await Promise.race([service.change(), new Promise((resolve) => setTimeout(resolve, 20))]);
  }
}

/** Sends a signal. Tells whether the process existed. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}
