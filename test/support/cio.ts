import path from 'node:path';
import { forAllUsers, isForAllUsers } from './checkout-for-all.ts';
import { asIdentity } from './identity.ts';
import type { Identity } from './identity.ts';
import { plainEnvironment, run } from './process.ts';
import type { Exit } from './process.ts';
import type { Scope } from './scope.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');

/** As the launchers start it: what ends by `process.exit()` would wait for what V8 compiles, now and then without end. */
export const NODE_FLAGS: readonly string[] = ['--no-concurrent-recompilation', '--no-concurrent-sparkplug'];

/** The command line from its sources, under the Node of the tests. */
export const CIO_SOURCE: readonly string[] = [
  process.execPath,
  ...NODE_FLAGS,
  path.join(REPOSITORY, 'client', 'cio', 'main.ts'),
];

/** What is built of it needs no packages, as its sources do. */
const CIO_BUILT = [process.execPath, ...NODE_FLAGS, path.join(REPOSITORY, 'dist', 'cio.cjs')];

/** The command line as a user types it. */
export const CIO_LAUNCHER: readonly string[] = [path.join(REPOSITORY, 'bin', 'cio')];

export interface CioOptions {
  /** Where the daemon listens; without, `cio` looks for one by itself. */
  readonly socketPath?: string;
  /** Standard input; empty unless given. `closed`: there is none at all. */
  readonly stdin?: string | Uint8Array | { readonly closed: true };
  /** On top of a plain environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Another user than that of the tests. Needs root. */
  readonly as?: Identity;
  /** {@link CIO_SOURCE} unless given. */
  readonly command?: readonly string[];
  readonly timeoutMs?: number;
}

export interface CioResult extends Exit {
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

/** Runs `cio ARGS` to its end. */
export async function cio(args: readonly string[], options: CioOptions = {}): Promise<CioResult> {
  const { socketPath, stdin = '', cwd, as, timeoutMs } = options;
  let command = options.command ?? CIO_SOURCE;
  if (as !== undefined && !isForAllUsers()) command = forAllUsers(PROCESS, options.command ?? CIO_BUILT);
  command = [...command, ...args];
  if (typeof stdin === 'object' && 'closed' in stdin) command = ['/bin/sh', '-c', 'exec "$@" <&-', 'sh', ...command];
  if (as !== undefined) command = asIdentity(as, command);
  const env = {
    ...plainEnvironment(),
    HOME: '/nonexistent',
    ...(socketPath === undefined ? {} : { CIO_CREDENTIAL_SOCKET: socketPath }),
    ...options.env,
  };
  const { code, signal, stdout, stderr } = await run(command, {
    env,
    input: typeof stdin === 'object' && 'closed' in stdin ? '' : stdin,
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  return { code, signal, stdout: stdout.toString(), stdoutBytes: stdout, stderr };
}

/** Lasts until the end of this process, for all who run something as another user. */
const PROCESS: Scope = { after: (cleanUp) => void process.once('exit', () => void cleanUp()), isLastFirst: true };
