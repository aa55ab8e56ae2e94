import path from 'node:path';
import { plainEnvironment } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { BenchScope } from '../bench-scope.ts';
import { credentialsOfSets, nameOf, setOf } from '../calls.ts';
import { callOnce, DAEMON_ARGUMENTS, DAEMON_COMMAND, NODE, REPOSITORY, startDaemonWithFew } from '../servers.ts';
import type { Figure } from './figure.ts';
import { leastOf } from './figure.ts';
import { countCalls, countOpens, total } from './strace.ts';

const CIO = [path.join(REPOSITORY, 'bin', 'cio'), 'credential'];
const ROUNDS = 3;

/** Counts the system calls of whole processes, less those of a bare Node. */
export async function processCounts(): Promise<Figure[]> {
  await using scope = new BenchScope();
  const daemon = await startDaemonWithFew(scope);
  await callOnce(scope, daemon, 'Create', { credentials: credentialsOfSets(1) });
  const env = {
    ...plainEnvironment(),
    HOME: path.dirname(daemon.stateDirectory),
    CIO_CREDENTIAL_SOCKET: daemon.socketPath,
  };
  const calls = (command: readonly string[]): Promise<number> =>
    leastOf(ROUNDS, async () => total(await countCalls(scope, command, env)));
  const bare = await calls([NODE, '-e', '0']);
  const over = async (...args: readonly string[]): Promise<number> => (await calls([...CIO, ...args])) - bare;
  const directory = temporaryDirectory(scope, 'cio-gate');
  const folders = ['--state-dir', path.join(directory, 'state'), '--runtime-dir', path.join(directory, 'run')];
  const opens = await countOpens(
    scope,
    [...DAEMON_COMMAND, ...DAEMON_ARGUMENTS, ...folders],
    plainEnvironment(),
    'listening',
  );
  const what = (command: string): string => `system calls of ${command}, less those of a bare Node`;
  return [
    { id: 'cio-get-system-calls', what: what('cio credential get'), value: await over('get', nameOf(1)) },
    { id: 'cio-list-system-calls', what: what('cio credential list'), value: await over('list') },
    {
      id: 'cio-exec-system-calls',
      what: what('cio credential exec'),
      value: await over('exec', setOf(0), '--', '/bin/true'),
    },
    { id: 'daemon-files', what: 'files that the daemon opens from its start to its end', value: opens },
  ];
}
