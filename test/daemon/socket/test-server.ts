import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { callerOf } from '../../../daemon/access/caller.ts';
import type { Caller } from '../../../daemon/access/caller.ts';
import type { Dispatch } from '../../../daemon/dispatch.ts';
import { readPeer } from '../../../daemon/kernel/peer.ts';
import { UserDatabase } from '../../../daemon/kernel/user-database.ts';
import { createLog } from '../../../daemon/log.ts';
import { VarlinkServer } from '../../../daemon/socket/varlink-server.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { DAEMON_UID } from '../core.ts';

/** A server on a socket of its own, and its log. */
export interface TestServer {
  readonly server: VarlinkServer;
  readonly path: string;
  readonly log: readonly string[];
}

/** Serves until the scope ends. By default, callers are identified by the kernel. */
export async function startServer(
  scope: Scope,
  dispatch: Dispatch,
  identify: (socket: Socket) => Caller = identifyPeer,
): Promise<TestServer> {
  const log: string[] = [];
  const path = join(temporaryDirectory(scope), 'socket');
  const server = new VarlinkServer(
    identify,
    dispatch,
    createLog((line) => void log.push(line), false),
  );
  await server.listen({ path }, true);
  scope.after(() => server.stop());
  return { server, path, log };
}

const users = new UserDatabase();

export function identifyPeer(socket: Socket): Caller {
  return callerOf(readPeer(socket), users, DAEMON_UID);
}

/** Returns the requirement of a test that has many files open in this process. */
export function descriptors(count: number): () => string | undefined {
  return () => {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return Number(limit) >= count ? undefined : `${count} open files (ulimit -n is ${limit ?? 'unknown'})`;
  };
}
