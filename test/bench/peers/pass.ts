import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { plainEnvironment, runSuccessfully } from '../../support/process.ts';
import { command, findCommand, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { timeOf } from '../command-time.ts';
import type { MakePeer, Peer } from './peer.ts';
import { SECRET } from './peer.ts';

const INSERT = ['/usr/bin/pass', 'insert', '--multiline', '--force', 'cio/secret'];
const USER = 'bench@example.org';

/** The standard Unix password manager: a file for each secret, encrypted by gpg. */
export const pass: MakePeer = (scope) => makeStore(scope, 'pass');

/** The same files and the same gpg, with a front end in Go. */
export const gopass: MakePeer = (scope) => makeStore(scope, 'gopass');

async function makeStore(scope: Scope, program: 'pass' | 'gopass'): Promise<Peer | string> {
  const missing = skipUnless(command('gpg'), command('pass'), command(program));
  if (missing !== false) return missing;
  const home = temporaryDirectory(scope, 'cio-bench');
  const env = {
    ...plainEnvironment(),
    HOME: home,
    GNUPGHOME: home,
    PASSWORD_STORE_DIR: path.join(home, 'store'),
  };
  // Ends the agent that gpg starts.
  scope.after(() => void spawnSync('/usr/bin/gpgconf', ['--kill', 'all'], { env }));
  const key = ['--batch', '--quiet', '--passphrase', '', '--quick-generate-key', USER, 'default', 'default', 'never'];
  await runSuccessfully(['/usr/bin/gpg', ...key], { env });
  await runSuccessfully(['/usr/bin/pass', 'init', USER], { env });
  await runSuccessfully(INSERT, { env, input: SECRET });
  const file = findCommand(program) ?? program;
  return {
    name: program,
    how: 'gpg with a key without a passphrase, its agent running; no git',
    readCommand: () => timeOf([file, 'show', 'cio/secret'], env),
    // gopass writes only what is typed, or what an editor makes.
    ...(program === 'gopass' ? {} : { writeCommand: () => timeOf(INSERT, env, undefined, SECRET) }),
  };
}
