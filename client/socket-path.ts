import { isAbsolute, join } from 'node:path';
import { homeDirectory } from '../src/home-directory.ts';
import { INTERFACE_NAME } from '../src/protocol/interface.generated.ts';

/** A place where the daemon may listen. */
export interface SocketCandidate {
  readonly path: string;
  /**
   * The place was not named by the caller but follows from variables that an environment hands down (sudo and su can
   * keep those of another user): it is only good where its folder is the caller's own.
   */
  readonly needsOwnFolder: boolean;
}

/** Variables and identity from which the places follow. */
export interface SocketPathInputs {
  /** A path given for this connection; it beats everything else. */
  readonly socket?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Effective uid of this process. */
  readonly uid: number;
}

const FOLDER = 'cio-credentiald';
const SYSTEM_PATH = join('/run', FOLDER, INTERFACE_NAME);

/**
 * Where to look for the daemon, first place first: the given path; `CIO_CREDENTIAL_SOCKET`; the socket in
 * `CIO_RUNTIME_DIR`; else the system's and the user's daemon, root the system's first, anybody else his own first.
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

/** Undefined for a user who has no home. */
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

/** The XDG base directory specification has relative paths ignored. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
