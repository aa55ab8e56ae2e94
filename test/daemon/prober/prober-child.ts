import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';

import type { Finding } from '../../../src/validation.ts';
import { plainEnvironment } from '../../support/process.ts';
import type { Scope } from '../../support/scope.ts';

/** The prober from its sources, run by the Node of the tests. */
export const PROBER_SOURCE: readonly string[] = [
  process.execPath,
  path.join(import.meta.dirname, '..', '..', '..', 'daemon', 'prober', 'main.ts'),
];

const SHIFT = `const { Date: Real } = globalThis;
globalThis.Date = class extends Real {
  constructor(...args) { super(...(args.length === 0 ? [Real.now() + 3600000] : args)); }
  static now() { return Real.now() + 3600000; }
};`;

/** Options of Node that put the clock forward for one process. */
export const AN_HOUR_AHEAD: readonly string[] = ['--import', `data:text/javascript,${encodeURIComponent(SHIFT)}`];

const UNKNOWN_USER = `import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
const { homedir } = os;
os.homedir = () => {
  if (process.env.HOME) return homedir();
  throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' });
};
syncBuiltinESMExports();`;

/** Options of Node for a user who is not in the user database, as with DynamicUser=. */
export const WITHOUT_HOME: readonly string[] = ['--import', `data:text/javascript,${encodeURIComponent(UNKNOWN_USER)}`];

const STUCK_LOOKUP = `import dns from 'node:dns/promises';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { STUCK_AT } = process.env;
dns.lookup = () => new Promise((resolve, reject) => {
  fs.open(STUCK_AT, 'r', reject);
  process.stderr.write('looking up');
});
syncBuiltinESMExports();`;

/**
 * Options of Node that make every look-up wait in a thread of the pool, as for a name server that does not answer,
 * until something is written to the FIFO in the variable STUCK_AT.
 */
export const STUCK: readonly string[] = ['--import', `data:text/javascript,${encodeURIComponent(STUCK_LOOKUP)}`];

/** A prober as a child process, with its standard input open until it is ended. */
export class ProberChild {
  readonly process: ChildProcess;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
  stdout = '';
  stderr = '';

  constructor(scope: Scope, env: Readonly<Record<string, string>> = {}, node: readonly string[] = [], file?: string) {
    const [program = '', script = ''] = PROBER_SOURCE;
    this.process = spawn(program, [...node, file ?? script], { env: { ...plainEnvironment(), ...env }, cwd: '/' });
    this.process.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.process.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.process.stdin?.on('error', () => undefined);
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
    scope.after(() => void this.process.kill('SIGKILL'));
  }

  send(text: string): this {
    this.process.stdin?.write(text);
    return this;
  }

  get messages(): readonly unknown[] {
    return messagesIn(this.stdout);
  }

  get findings(): readonly Finding[] {
    return this.messages.filter((message): message is Finding => Object.hasOwn(message as object, 'check'));
  }
}

/** Returns the messages in the prober's output: JSON objects, each followed by NUL. */
export function messagesIn(text: string): readonly unknown[] {
  return text
    .split('\0')
    .slice(0, -1)
    .map((message) => JSON.parse(message) as unknown);
}
