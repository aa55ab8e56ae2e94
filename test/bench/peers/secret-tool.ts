import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { plainEnvironment, run, runSuccessfully, Service, until } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { timeOf } from '../command-time.ts';
import type { MakePeer } from './peer.ts';
import { SECRET } from './peer.ts';

const TOOL = '/usr/bin/secret-tool';
/** The password of the keyring comes on standard input. */
const UNLOCK = 'exec /usr/bin/gnome-keyring-daemon --unlock --foreground --components=secrets < "$0"';

/** The desktop's secret service: gnome-keyring on a D-Bus of its own. */
export const secretTool: MakePeer = async (scope) => {
  const missing = skipUnless(
    command('secret-tool', 'libsecret-tools'),
    command('gnome-keyring-daemon', 'gnome-keyring'),
    command('dbus-daemon', 'dbus'),
  );
  if (missing !== false) return missing;
  const home = temporaryDirectory(scope, 'cio-bench');
  const address = `unix:path=${home}/bus`;
  const env = { ...plainEnvironment(), HOME: home, XDG_RUNTIME_DIR: home, DBUS_SESSION_BUS_ADDRESS: address };
  const bus = [
    '/usr/bin/dbus-daemon',
    '--session',
    '--nofork',
    '--nopidfile',
    `--address=${address}`,
    '--print-address',
  ];
  await new Service(scope, bus, { env }).printed(address);
  const password = path.join(home, 'password');
  writeFileSync(password, 'bench');
  const keyring = new Service(scope, ['/bin/sh', '-c', UNLOCK, password], { env });
  const store = [TOOL, 'store', '--label=secret', 'cio', 'secret'];
  await until(keyring, async () => (await run(store, { env, input: SECRET })).code === 0 || undefined);
  await runSuccessfully([TOOL, 'lookup', 'cio', 'secret'], { env });
  return {
    name: 'secret-tool',
    how: 'gnome-keyring, unlocked, on a D-Bus of its own',
    readCommand: () => timeOf([TOOL, 'lookup', 'cio', 'secret'], env, SECRET),
    writeCommand: () => timeOf(store, env, undefined, SECRET),
  };
};
