import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { plainEnvironment, Service, until } from './process.ts';
import type { ProcessOptions } from './process.ts';
import type { Scope } from './scope.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');
/** The command that runs the daemon's sources, under the Node of the tests. */
export const DAEMON_SOURCE: readonly string[] = [process.execPath, path.join(REPOSITORY, 'daemon', 'main.ts')];

/**
 * The number of log lines to show. Node prints 20 for an uncaught error, the last of which is its version and not the
 * message, and more for an error with a cause.
 */
const LAST_LINES = 50;

export interface DaemonOptions extends ProcessOptions {
  /** New folders by default; given to start a second daemon on the first one's store. */
  readonly stateDirectory?: string;
  readonly runtimeDirectory?: string;
  /** The command that runs a daemon, without the folder options; by default {@link DAEMON_SOURCE}. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
}

/** A running cio-credentiald. */
export class Daemon {
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  readonly socketPath: string;
  readonly service: Service;

  /** Starts a daemon without waiting for it; see {@link startDaemon}. */
  constructor(scope: Scope, options: DaemonOptions = {}) {
    const directory = temporaryDirectory(scope);
    this.stateDirectory = options.stateDirectory ?? path.join(directory, 'state');
    this.runtimeDirectory = options.runtimeDirectory ?? path.join(directory, 'run');
    this.socketPath = path.join(this.runtimeDirectory, 'io.cio.Credentials');
    const { command = DAEMON_SOURCE, args = [], env = { ...plainEnvironment(), HOME: directory } } = options;
    const folders = ['--state-dir', this.stateDirectory, '--runtime-dir', this.runtimeDirectory];
    this.service = new Service(scope, [...command, ...folders, ...args], { ...options, env });
  }

  get pid(): number {
    return this.service.pid;
  }

  get log(): string {
    return this.service.output;
  }

  /** The end of the daemon's log, on one line. If an uncaught error ended the daemon, this is Node's report of it. */
  get lastWords(): string {
    return this.log.trimEnd().split('\n').slice(-LAST_LINES).join(' | ');
  }

  /** Ends the daemon as systemd does, and checks that it exits with 0 and removes its socket. */
  async stop(): Promise<void> {
    const exit = await this.service.stop('SIGTERM');
    assert.deepEqual(exit, { code: 0, signal: null }, this.log);
    assert.equal(fs.existsSync(this.socketPath), false, 'the socket is left behind');
  }
}

/** Starts a daemon and waits until it accepts connections. The daemon is killed when the scope ends. */
export async function startDaemon(scope: Scope, options: DaemonOptions = {}): Promise<Daemon> {
  const daemon = new Daemon(scope, options);
  await until(daemon.service, async () => (await accepts(daemon.socketPath)) || undefined);
  return daemon;
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
