import { isAbsolute, join } from 'node:path';
import { homeDirectory } from '../src/home-directory.ts';
import { INTERFACE_NAME } from '../src/protocol/interface.generated.ts';

/** A path at which the daemon may listen. */
export interface SocketCandidate {
  readonly path: string;
  /**
   * Whether the path may be used only if its directory belongs to the caller. True for a path that the caller did not
   * name but that follows from variables such as `XDG_RUNTIME_DIR` and `HOME`, which sudo and su can leave set to
   * another user's.
   */
  readonly needsOwnFolder: boolean;
}

/** What determines the candidates. */
export interface SocketPathInputs {
  /** A path given for this connection; nothing else is tried then. */
  readonly socket?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Effective uid of this process. */
  readonly uid: number;
}

const FOLDER = 'cio-credentiald';
const SYSTEM_PATH = join('/run', FOLDER, INTERFACE_NAME);

/**
 * Returns the paths at which to look for the daemon, in the order in which to try them. The first that is set of the
 * given path, `CIO_CREDENTIAL_SOCKET`, and the socket in `CIO_RUNTIME_DIR` is the only candidate. If none is set, there
 * are two: for root the system's daemon before the user's, for anybody else the user's before the system's.
 */
export function socketCandidates({ socket, environment, uid }: SocketPathInputs): readonly SocketCandidate[] {
  const named = socket ?? (environment['CIO_CREDENTIAL_SOCKET'] || undefined);
  if (named !== undefined) return [{ path: named, needsOwnFolder: false }];
  const folder = environment['CIO_RUNTIME_DIR'];
  if (folder) return [{ path: join(folder, INTERFACE_NAME), needsOwnFolder: false }];
  const system = { path: SYSTEM_PATH, needsOwnFolder: false };
  const folderOfUser = userFolder(environment);
  if (folderOfUser === undefined) return [system];
  const user = { path: join(folderOfUser, INTERFACE_NAME), needsOwnFolder: true };
  return uid === 0 ? [system, user] : [user, system];
}

/** Returns the directory of the user's own daemon; undefined for a user without a home directory. */
function userFolder(environment: SocketPathInputs['environment']): string | undefined {
  const runtime = absolute(environment['XDG_RUNTIME_DIR']);
  if (runtime !== undefined) return join(runtime, FOLDER);
  const state = environment['CIO_STATE_DIR'] || stateFolder(environment);
  return state === undefined ? undefined : join(state, 'run');
}

function stateFolder(environment: SocketPathInputs['environment']): string | undefined {
  const state = absolute(environment['XDG_STATE_HOME']);
  if (state !== undefined) return join(state, FOLDER);
  const home = homeDirectory(environment, process.getBuiltinModule('node:os').homedir);
  return home === undefined ? undefined : join(home, '.local/state', FOLDER);
}

/** The XDG base directory specification requires relative paths to be ignored. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
