import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { CredentialClient } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { DaemonRun } from '../crash/daemon-run.ts';
import { readTrace } from './trace.ts';
import type { DiskEvent } from './trace.ts';

/** SQLite's shared memory, which is rebuilt from the WAL when a database is first opened. */
const REBUILT = /-shm$/;

/** The recorded disk events of a daemon, and its state directory. */
export interface Recording {
  readonly events: readonly DiskEvent[];
  readonly directory: string;
}

/** Runs a daemon from an empty directory, and has `work` use it. */
export async function record(
  scope: Scope,
  work: (client: CredentialClient, daemon: DaemonRun) => Promise<void>,
): Promise<Recording> {
  const directory = temporaryDirectory(scope, 'cio-power');
  const state = path.join(directory, 'state');
  const trace = path.join(directory, 'trace', 'of');
  mkdirSync(path.dirname(trace));
  await using run = new BenchScope();
  const daemon = new DaemonRun(run, { state, run: path.join(directory, 'run') }, { traceTo: trace });
  const client = await daemon.ready();
  if (client === undefined) throw new Error(`the daemon does not start: ${daemon.account}`);
  try {
    await work(client, daemon);
  } catch (error) {
    throw new Error(`the daemon fails while it is recorded: ${daemon.account}`, { cause: error });
  }
  // One more reply, as strace may not have recorded the last one when its tracee is killed.
  await client.call('Status', {});
  client.close();
  await daemon.kill();
  const events = readTrace(trace, state).filter((event) => !('path' in event) || !REBUILT.test(event.path));
  return { events, directory: state };
}
