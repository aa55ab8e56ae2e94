import { Daemon } from '../support/daemon.ts';
import type { DaemonOptions } from '../support/daemon.ts';
import type { Scope } from '../support/scope.ts';
import { RawVarlink } from '../support/varlink.ts';

/** The name of the interface. */
export const CREDENTIALS = 'io.cio.Credentials';

/** Returns a call that creates one credential. */
export function create(name: string, value = 'x'): object {
  return { method: `${CREDENTIALS}.Create`, parameters: { credentials: [{ name, value }] } };
}

/** Returns the names of all credentials that the daemon lists. */
export async function namesIn(scope: Scope, socketPath: string): Promise<Set<string>> {
  const client = await RawVarlink.connect(scope, socketPath);
  const { parameters } = await client.call(`${CREDENTIALS}.List`);
  const { credentials } = (parameters ?? {}) as { credentials: { name: string }[] };
  return new Set(credentials.map(({ name }) => name));
}

/** Runs a daemon that does not start, and returns its exit code and its output. */
export async function failure(
  scope: Scope,
  options: DaemonOptions,
): Promise<{ readonly code: number | null; readonly log: string }> {
  const daemon = new Daemon(scope, options);
  const { code } = await daemon.service.exited;
  return { code, log: daemon.log };
}
