import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { withIdentity } from '../../support/identity.ts';
import type { Identity } from '../../support/identity.ts';
import type { Scope } from '../../support/scope.ts';

const RELAY = join(import.meta.dirname, 'relay.ts');

/** Somebody who is connected, and what he hears: replies to the byte. */
export class Voice {
  readonly #input: Writable;
  readonly #messages: AsyncGenerator<string, undefined>;

  private constructor(input: Writable, output: Readable) {
    this.#input = input;
    this.#messages = messagesOf(output);
  }

  /** Connects from this process, as another user. */
  static async as(scope: Scope, socketPath: string, identity: Identity): Promise<Voice> {
    const socket = withIdentity(identity, () => connect(socketPath));
    scope.after(() => void socket.destroy());
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    return new Voice(socket, socket);
  }

  /** Connects from a process of its own, in a cgroup (see {@link makeCgroup}); `connector` ends before it speaks. */
  static relayed(
    scope: Scope,
    socketPath: string,
    { uid, gid, groups = [] }: Identity,
    { cgroup, isConnectorGone = false }: { readonly cgroup: string; readonly isConnectorGone?: boolean },
  ): Voice {
    const identity = JSON.stringify({ uid, gid, groups, isConnectorGone });
    // The process moves itself before it becomes the relay.
    const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const child = spawn('/bin/sh', ['-c', script, cgroup, process.execPath, RELAY, socketPath, identity], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => void child.once('close', resolve));
    scope.after(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    return new Voice(child.stdin, child.stdout);
  }

  /** Calls a method of the interface; the reply as it came. With `more`, it is the first one. */
  async say(method: string, parameters: object = {}, flags: { readonly more?: true } = {}): Promise<string> {
    this.#input.write(`${JSON.stringify({ method: `io.cio.Credentials.${method}`, parameters, ...flags })}\0`);
    return this.hear(method);
  }

  /** The next reply to a call that was made with `more`. */
  async hear(method: string): Promise<string> {
    const { value } = await this.#messages.next();
    if (value === undefined) throw new Error(`the connection ended instead of an answer to ${method}`);
    return value;
  }

  /** The same, read. */
  async call(
    method: string,
    parameters: object = {},
  ): Promise<{ error?: string; parameters: Record<string, unknown> }> {
    return JSON.parse(await this.say(method, parameters)) as { error?: string; parameters: Record<string, unknown> };
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

/** Where units have their cgroups: systemd's own hierarchy of version 1 where there is one, else version 2. */
function cgroupRoot(): string | undefined {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' - '));
  const isSystemd = ([, options = '']: readonly string[]): boolean => /^cgroup .*\bname=systemd\b/.test(options);
  const isVersion2 = ([, options = '']: readonly string[]): boolean => options.startsWith('cgroup2 ');
  return (mounts.find(isSystemd) ?? mounts.find(isVersion2))?.[0]?.split(' ')[4];
}

/** The requirement of a test that makes cgroups. */
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
 * Makes the cgroup of a unit, as systemd would. To be asked for before the processes that go into it, since it is taken
 * away, with the parents that were made for it, when the scope ends.
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

/** Another run of the tests may be in it as well, or gone from it already. */
function removeCgroup(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!['EBUSY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
