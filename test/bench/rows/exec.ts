import path from 'node:path';
import { plainEnvironment } from '../../support/process.ts';
import { credentialsOfSets, setOf } from '../calls.ts';
import { timeOf } from '../command-time.ts';
import { difference, ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { callOnce, NODE, REPOSITORY, startDaemonWithFew } from '../servers.ts';
import { interleave } from '../statistics.ts';

const NOTHING = ['/bin/sh', '-c', 'true'];

/**
 * The cost of running a command with a set in its environment: `cio` becomes the command, and no process is left
 * behind.
 */
export const exec: Row = {
  id: 'exec',
  async measure({ scope, choose }: Bench): Promise<Measurement[]> {
    const daemon = await startDaemonWithFew(scope);
    await callOnce(scope, daemon, 'Create', { credentials: credentialsOfSets(1) });
    const environment = {
      ...plainEnvironment(),
      HOME: path.dirname(daemon.stateDirectory),
      CIO_CREDENTIAL_SOCKET: daemon.socketPath,
    };
    const command = [path.join(REPOSITORY, 'bin', 'cio'), 'credential', 'exec', setOf(0), '--', ...NOTHING];
    const check = [...command.slice(0, -1), 'printf %s "$AWS_ACCESS_KEY_ID"'];
    timeOf(check, environment, credentialsOfSets(1)[1]?.value);
    const candidates = {
      exec: () => timeOf(command, environment),
      shell: () => timeOf(NOTHING, environment),
      node: () => timeOf([NODE, '-e', '0'], environment),
    };
    await interleave(1, candidates);
    const times = await interleave(choose(40, 8), candidates);
    const both = times.shell.map((ms, round) => ms + (times.node[round] ?? Number.NaN));
    const what = 'cio credential exec SET -- sh -c true';
    return [
      ratio(
        {
          row: 'exec',
          what,
          against: '`sh -c true` and `node -e 0` of the same Node, one after the other',
          unit: 'ms',
        },
        times.exec,
        both,
      ),
      difference(
        { row: 'exec', what: '… more than the command alone', against: '`sh -c true`', unit: 'ms' },
        times.exec,
        times.shell,
      ),
    ];
  },
};
