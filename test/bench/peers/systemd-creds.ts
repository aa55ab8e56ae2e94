import path from 'node:path';
import { plainEnvironment, runSuccessfully } from '../../support/process.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { timeOf } from '../command-time.ts';
import type { MakePeer } from './peer.ts';
import { SECRET } from './peer.ts';

const SYSTEMD_CREDS = '/usr/bin/systemd-creds';

/** systemd's own tool: a file for each secret, encrypted with the host's key, which it makes if there is none. */
export const systemdCreds: MakePeer = async (scope) => {
  const missing = skipUnless(root, command('systemd-creds', 'systemd'));
  if (missing !== false) return missing;
  const env = plainEnvironment();
  const file = path.join(temporaryDirectory(scope, 'cio-bench'), 'secret.cred');
  const write = [SYSTEMD_CREDS, 'encrypt', '--with-key=host', '--name=secret', '-', file];
  await runSuccessfully(write, { env, input: SECRET });
  return {
    name: 'systemd-creds',
    how: 'the key of the host',
    readCommand: () => timeOf([SYSTEMD_CREDS, 'decrypt', '--name=secret', file, '-'], env, SECRET),
    writeCommand: () => timeOf(write, env, undefined, SECRET),
  };
};
