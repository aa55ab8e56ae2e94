import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { asIdentity } from './identity.ts';
import type { Identity } from './identity.ts';
import { plainEnvironment, run } from './process.ts';
import type { Exit } from './process.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');

/** The command line from its sources, under the Node of the tests. */
export const CIO_SOURCE: readonly string[] = [process.execPath, path.join(REPOSITORY, 'client', 'cio', 'main.ts')];

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
  if (as !== undefined && options.command === undefined && !isOpenToAll(REPOSITORY)) command = cioForAll();
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

/** Tells whether every user can pass through to a folder; a checkout in root's home is closed to the others. */
function isOpenToAll(directory: string): boolean {
  const isOpen = (fs.statSync(directory).mode & 0o001) !== 0;
  const parent = path.dirname(directory);
  return isOpen && (parent === directory || isOpenToAll(parent));
}

let copyForAll: readonly string[] | undefined;

/** A copy of Node and of the built command line, where every user can run it. */
function cioForAll(): readonly string[] {
  if (copyForAll !== undefined) return copyForAll;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-test-bin-'));
  process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  fs.chmodSync(directory, 0o755);
  const node = path.join(directory, 'node');
  fs.copyFileSync(process.execPath, node, fs.constants.COPYFILE_FICLONE);
  const bundle = path.join(directory, 'cio.cjs');
  fs.copyFileSync(path.join(REPOSITORY, 'dist', 'cio.cjs'), bundle);
  for (const file of [node, bundle]) fs.chmodSync(file, 0o755);
  copyForAll = [node, bundle];
  return copyForAll;
}
