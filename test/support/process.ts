import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { atEnd } from './scope.ts';
import type { Scope } from './scope.ts';

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that ended, with what it printed. */
export interface Finished extends Exit {
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly cwd?: string;
  /** The whole environment; {@link plainEnvironment} unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const SETPRIV = '/usr/bin/setpriv';
const RUN_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;

/** What a process of a test finds in its environment: nothing of whoever started the tests. */
export function plainEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    LC_ALL: 'C.UTF-8',
  };
  const coverage = process.env['NODE_V8_COVERAGE'];
  if (coverage !== undefined) environment['NODE_V8_COVERAGE'] = coverage;
  return environment;
}

/** Runs a command to its end. It is killed, and the promise rejected, when it takes more than a minute. */
export async function run(
  command: readonly string[],
  options: ProcessOptions & { readonly input?: string | Uint8Array; readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const [file = '', ...args] = command;
  const { cwd, env = plainEnvironment(), input = '', timeoutMs = RUN_TIMEOUT_MS } = options;
  const child = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that reads no input may be gone before it was written.
  child.stdin.on('error', () => undefined).end(input);

  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
    // What it started may outlive it, and would hold them open.
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }, timeoutMs);
  try {
    const exit = await new Promise<Exit>((resolve, reject) => {
      child.once('error', reject).once('close', (code, signal) => resolve({ code, signal }));
    });
    const finished = { ...exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
    if (isLate) {
      // Both: whether it had said all that it had to say tells where it stood.
      const printed = `${finished.stdout.toString()}${finished.stderr}`;
      throw new Error(`${[file, ...args].join(' ')} was still running after ${timeoutMs} ms; it printed: ${printed}`);
    }
    return finished;
  } finally {
    clearTimeout(timer);
  }
}

/** The same, for a command that must succeed: its standard output. */
export async function runSuccessfully(...args: Parameters<typeof run>): Promise<string> {
  const { code, signal, stdout, stderr } = await run(...args);
  if (code !== 0) throw new Error(`${args[0].join(' ')} ended with ${code ?? signal}: ${stderr}${stdout.toString()}`);
  return stdout.toString();
}

/** A process that runs beside the test. */
export class Service {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #outputs: readonly Readable[];
  #exit: Exit | undefined;
  #output = '';
  #onOutput: (() => void)[] = [];

  /** Starts it. It is killed when the scope ends, and by the kernel when the test process dies. */
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
    // Whoever waits sees the failure; the others see that it is gone.
    this.exited.catch(() => undefined);
    if (child.pid === undefined) throw new Error(`${file} cannot be run`);
    this.pid = child.pid;
    atEnd(scope, async () => {
      if (this.#exit === undefined) this.#kill();
      await this.exited.catch(() => undefined);
    });
  }

  /** All that it printed so far, on both outputs. */
  get output(): string {
    return this.#output;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** It may have ended just now, without our having heard of it: then nothing happens. */
  signal(signal: NodeJS.Signals): void {
    signalIfThere(this.pid, signal);
  }

  /** Resolves once it prints more or ends. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#onOutput.push(resolve));
  }

  /** Resolves once its output has `text`; rejects when it ends without. */
  async printed(text: string): Promise<void> {
    while (!this.#output.includes(text)) {
      if (this.#exit !== undefined) throw new Error(`ended without printing ${JSON.stringify(text)}: ${this.#output}`);
      await this.change();
    }
  }

  /** Asks it to end, and waits until it has. Kills it, and rejects, when it takes more than 20 seconds. */
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
    // What it started may outlive it, and would hold them open.
    for (const stream of this.#outputs) stream.destroy();
  }

  #wake(): void {
    for (const resolve of this.#onOutput.splice(0)) resolve();
  }
}

/** Repeats an attempt until it gives something; between two attempts a moment passes, or the service prints. */
export async function until<Value>(
  service: Service,
  attempt: () => Promise<Value | undefined>,
  timeoutMs = 60_000,
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

/** Tells whether the process was there. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}
