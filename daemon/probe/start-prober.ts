import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { forbidCoreDumpsOfChildren, runInBackground, SystemError } from '../kernel/libc.ts';

/** The connection to a running prober. */
export interface ProberConnection {
  readonly chunks: AsyncIterable<Uint8Array>;
  send(text: string): void;
  /**
   * Closes the connection, which tells the prober to stop. It then exits by itself, or is killed if it takes too long.
   * May be called more than once.
   */
  end(): void;
}

/** The prober could not be started or connected to. */
export class ProberMissingError extends Error {
  constructor(options?: ErrorOptions) {
    super('the prober cannot be started', options);
    this.name = 'ProberMissingError';
  }
}

/** @throws ProberMissingError */
export type StartProber = () => Promise<ProberConnection>;

/** Environment variable of Amazon ECS for task IAM roles. */
const CONTAINER_PATH = 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI';

/** Time that a prober has for its clean-up after it was told to stop. */
export const END_TIME_MAX_MS = 5000;

/**
 * Connects to the prober's socket. systemd starts a prober for each connection (`cio-credential-prober@.service`), in a
 * sandbox of its own.
 */
export function connectProber(path: string): StartProber {
  return async () => {
    const socket = connect(path);
    try {
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    } catch (error) {
      throw new ProberMissingError({ cause: error });
    }
    socket.on('error', () => socket.destroy());
    return {
      chunks: chunksUntilEnd(socket),
      send: (text) => void socket.write(text),
      end: () => void socket.destroy(),
    };
  };
}

/**
 * Runs the prober as a child process, for a daemon that systemd did not start. The only variable that the child
 * inherits from the daemon's environment is the path at which Amazon's container agent provides a task's identity.
 */
export function spawnProber(): StartProber {
  return async () => {
    let child: ChildProcessByStdio<Writable, Readable, null>;
    try {
      // It is given keys, which must not get into a core dump.
      forbidCoreDumpsOfChildren();
      // spawn() throws some errors of execve(2) and emits the others as an event.
      child = spawn(launcherPath(), [], {
        cwd: '/',
        env: { PATH: '/usr/local/bin:/usr/bin:/bin', ...containerPath() },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    } catch (error) {
      throw new ProberMissingError({ cause: error });
    }
    child.on('error', () => child.kill('SIGKILL'));
    child.stdin.on('error', () => undefined);
    child.stdout.on('error', () => undefined);
    if (child.pid !== undefined) lowerPriority(child.pid);
    let timer: NodeJS.Timeout | undefined;
    child.once('exit', () => clearTimeout(timer));
    const end = (): void => {
      child.stdin.end();
      child.stdout.destroy();
      timer ??= setTimeout(() => child.kill('SIGKILL'), END_TIME_MAX_MS).unref();
    };
    return { chunks: chunksUntilEnd(child.stdout), send: (text) => void child.stdin.write(text), end };
  };
}

/** Yields chunks until the stream ends or fails. Both mean the same: the prober is gone. */
async function* chunksUntilEnd(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    // System errors have a code: the read failed because the process is gone. Anything else is a defect.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

/** The variable is neither a key nor a host: it is a path on the one service address that the prober has built in. */
function containerPath(): Readonly<Record<string, string>> {
  const path = process.env[CONTAINER_PATH];
  return path === undefined ? {} : { [CONTAINER_PATH]: path };
}

/** Lowers the prober's scheduling priority, so that requests for credentials are served first. */
function lowerPriority(pid: number): void {
  try {
    runInBackground(pid);
  } catch (error) {
    // The process is gone already, or the system does not allow it. Then the prober runs with normal priority.
    if (!(error instanceof SystemError)) throw error;
  }
}

/** Finds the launcher. The sources and the build lie at different depths below the package. */
function launcherPath(): string {
  const paths = ['../../bin/cio-credential-prober', '../../../bin/cio-credential-prober'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new ProberMissingError();
  return found;
}
