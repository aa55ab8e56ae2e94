import path from 'node:path';
import { forAllUsers, isForAllUsers } from './checkout-for-all.ts';
import { asIdentity } from './identity.ts';
import type { Identity } from './identity.ts';
import { plainEnvironment, run } from './process.ts';
import type { Exit } from './process.ts';
import type { Scope } from './scope.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');

/**
 * Node's flags, as in the launchers. Without them, process.exit() waits for V8's background compilation, occasionally
 * forever.
 */
export const NODE_FLAGS: readonly string[] = ['--no-concurrent-recompilation', '--no-concurrent-sparkplug'];

/** The command line run from its sources, under the Node of the tests. */
export const CIO_SOURCE: readonly string[] = [
  process.execPath,
  ...NODE_FLAGS,
  path.join(REPOSITORY, 'client', 'cio', 'main.ts'),
];

/** The built command line, which needs no packages, unlike its sources. */
const CIO_BUILT = [process.execPath, ...NODE_FLAGS, path.join(REPOSITORY, 'dist', 'cio.cjs')];

/** The command line as a user types it. */
export const CIO_LAUNCHER: readonly string[] = [path.join(REPOSITORY, 'bin', 'cio')];

export interface CioOptions {
  /** The daemon's socket. By default `cio` looks for one itself. */
  readonly socketPath?: string;
  /** Standard input, empty by default. `closed`: the process has no standard input. */
  readonly stdin?: string | Uint8Array | { readonly closed: true };
  /** Added to a plain environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** A user other than that of the tests. Requires root. */
  readonly as?: Identity;
  /** {@link CIO_SOURCE} by default. */
  readonly command?: readonly string[];
  readonly timeoutMs?: number;
}

export interface CioResult extends Exit {
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

/** Runs `cio ARGS` and waits for it to end. */
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

/** A scope that lasts until this process ends, so that all calls as another user share one copy. */
const PROCESS: Scope = { after: (cleanUp) => void process.once('exit', () => void cleanUp()), isLastFirst: true };
