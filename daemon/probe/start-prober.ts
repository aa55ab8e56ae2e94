import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { runInBackground, SystemError } from '../kernel/libc.ts';

/** The two ends of a prober that has a job. */
export interface ProberConnection {
  readonly chunks: AsyncIterable<Uint8Array>;
  send(text: string): void;
  /** Tells it to stop, by closing; it goes by itself, or is ended. May be called more than once. */
  end(): void;
}

/** There is no prober to be had. */
export class ProberMissingError extends Error {
  constructor(options?: ErrorOptions) {
    super('the prober cannot be started', options);
    this.name = 'ProberMissingError';
  }
}

/** @throws ProberMissingError */
export type StartProber = () => Promise<ProberConnection>;

/** Task IAM roles (Amazon ECS). */
const CONTAINER_PATH = 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI';

/** How long a prober may take to clean up after it was told to stop. */
export const END_TIME_MAX_MS = 5000;

/** systemd starts one for each connection (`cio-credential-prober@.service`), in a sandbox of its own. */
export function connectProber(path: string): StartProber {
  return async () => {
    const socket = connect(path);
    try {
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    } catch (error) {
      throw new ProberMissingError({ cause: error });
    }
    socket.on('error', () => socket.destroy());
    return { chunks: untilBroken(socket), send: (text) => void socket.write(text), end: () => void socket.destroy() };
  };
}

/**
 * A child of the daemon, for a daemon that is not systemd's. Of the daemon's environment it gets the path by which Amazon's
 * container agent gives a task its identity, and nothing else.
 */
export function spawnProber(): StartProber {
  return async () => {
    let child: ChildProcessByStdio<Writable, Readable, null>;
    try {
      // Some errors of execve(2) are thrown, others told.
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
    if (child.pid !== undefined) letOthersFirst(child.pid);
    let timer: NodeJS.Timeout | undefined;
    child.once('exit', () => clearTimeout(timer));
    const end = (): void => {
      child.stdin.end();
      child.stdout.destroy();
      timer ??= setTimeout(() => child.kill('SIGKILL'), END_TIME_MAX_MS).unref();
    };
    return { chunks: untilBroken(child.stdout), send: (text) => void child.stdin.write(text), end };
  };
}

/** What comes before the stream ends or breaks: a prober that dies says nothing more, either way. */
async function* untilBroken(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    // A read that fails, as of a process that is gone; what else could be thrown here is a defect.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

/** Not a key, and not a host: the prober knows the one service that it is asked at. */
function containerPath(): Readonly<Record<string, string>> {
  const path = process.env[CONTAINER_PATH];
  return path === undefined ? {} : { [CONTAINER_PATH]: path };
}

/** Those who ask for credentials come first. */
function letOthersFirst(pid: number): void {
  try {
    runInBackground(pid);
  } catch (error) {
    // It is gone already, or this system does not let it: it runs like anybody.
    if (!(error instanceof SystemError)) throw error;
  }
}

/** The sources and the build lie at different depths below the package. */
function launcherPath(): string {
  const paths = ['../../bin/cio-credential-prober', '../../../bin/cio-credential-prober'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new ProberMissingError();
  return found;
}
