import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { withIdentity } from '../../support/identity.ts';
import type { Identity } from '../../support/identity.ts';
import type { Scope } from '../../support/scope.ts';

const RELAY = join(import.meta.dirname, 'relay.ts');

/** A connected client that returns replies byte for byte. */
export class RawClient {
  readonly #input: Writable;
  readonly #messages: AsyncGenerator<string, undefined>;

  private constructor(input: Writable, output: Readable) {
    this.#input = input;
    this.#messages = messagesOf(output);
  }

  /** Connects from this process, as another user. */
  static async as(scope: Scope, socketPath: string, identity: Identity): Promise<RawClient> {
    const socket = withIdentity(identity, () => connect(socketPath));
    scope.after(() => void socket.destroy());
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    return new RawClient(socket, socket);
  }

  /**
   * Connects from a process of its own, in a cgroup (see {@link makeCgroup}). With `isConnectorGone`, the process that
   * connected ends before anything is sent.
   */
  static relayed(
    scope: Scope,
    socketPath: string,
    { uid, gid, groups = [] }: Identity,
    { cgroup, isConnectorGone = false }: { readonly cgroup: string; readonly isConnectorGone?: boolean },
  ): RawClient {
    const identity = JSON.stringify({ uid, gid, groups, isConnectorGone });
    // The process joins the cgroup before it executes the relay.
    const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const child = spawn('/bin/sh', ['-c', script, cgroup, process.execPath, RELAY, socketPath, identity], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => void child.once('close', resolve));
    scope.after(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    return new RawClient(child.stdin, child.stdout);
  }

  /** Calls a method of the interface and returns the raw reply. With `more`, that is the first reply. */
  async callRaw(method: string, parameters: object = {}, flags: { readonly more?: true } = {}): Promise<string> {
    this.#input.write(`${JSON.stringify({ method: `io.cio.Credentials.${method}`, parameters, ...flags })}\0`);
    return this.nextReply(method);
  }

  /** Returns the next reply to a call with `more`. */
  async nextReply(method: string): Promise<string> {
    const { value } = await this.#messages.next();
    if (value === undefined) throw new Error(`the connection ended instead of an answer to ${method}`);
    return value;
  }

  /** Calls a method and returns the parsed reply. */
  async call(
    method: string,
    parameters: object = {},
  ): Promise<{ error?: string; parameters: Record<string, unknown> }> {
    return JSON.parse(await this.callRaw(method, parameters)) as {
      error?: string;
      parameters: Record<string, unknown>;
    };
  }
}

async function* messagesOf(output: Readable): AsyncGenerator<string, undefined> {
  let rest = '';
  for await (const chunk of output) {
    const messages = (rest + (chunk as Buffer).toString()).split('\0');
    rest = messages.pop() ?? '';
    yield* messages;
  }
  return undefined;
}

/**
 * Returns the mount point of the hierarchy that has the cgroups of units: systemd's own of version 1 if there is one,
 * else version 2.
 */
function cgroupRoot(): string | undefined {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' - '));
  const isSystemd = ([, options = '']: readonly string[]): boolean => /^cgroup .*\bname=systemd\b/.test(options);
  const isVersion2 = ([, options = '']: readonly string[]): boolean => options.startsWith('cgroup2 ');
  return (mounts.find(isSystemd) ?? mounts.find(isVersion2))?.[0]?.split(' ')[4];
}

/** Returns undefined if a test can make cgroups, or what is missing for that. */
export function cgroups(): string | undefined {
  const root = cgroupRoot();
  if (root === undefined) return 'a cgroup hierarchy';
  const probe = join(root, `cio-test-${process.pid}`);
  try {
    mkdirSync(probe);
    rmdirSync(probe);
    return undefined;
  } catch {
    return `a cgroup hierarchy that can be written (${root})`;
  }
}

/**
 * Makes the cgroup of a unit, as systemd would. Must be called before the processes in it are started, since the cgroup
 * and the parents made for it are removed when the scope ends.
 */
export function makeCgroup(scope: Scope, path: string): string {
  const made: string[] = [];
  let directory = cgroupRoot() ?? '';
  for (const part of path.split('/')) {
    directory = join(directory, part);
    try {
      mkdirSync(directory);
      made.unshift(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  scope.after(() => {
    for (const own of made) removeCgroup(own);
  });
  return directory;
}

/** Another test run may still use the cgroup, or have removed it. */
function removeCgroup(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!['EBUSY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
