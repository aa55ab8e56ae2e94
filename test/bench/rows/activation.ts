import { existsSync } from 'node:fs';
import path from 'node:path';
import { plainEnvironment, Service, until } from '../../support/process.ts';
import { findCommand } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { BenchScope } from '../bench-scope.ts';
import { nameOf } from '../calls.ts';
import { timeOf } from '../command-time.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { callOnce, DAEMON_ARGUMENTS, DAEMON_COMMAND, FEW, NODE } from '../servers.ts';
import { interleave } from '../statistics.ts';

const ACTIVATE = 'systemd-socket-activate';

/** From the first connection to the reply, where that connection makes systemd start the daemon. */
export const activation: Row = {
  id: 'activation',
  async measure({ stores, choose, leaveOut }: Bench): Promise<Measurement[]> {
    const activate = findCommand(ACTIVATE);
    if (activate === undefined) {
      leaveOut('start by socket activation', `needs ${ACTIVATE} (Debian: systemd)`);
      return [];
    }
    const { stateDirectory } = await stores.get(FEW);
    const candidates = {
      cold: () => timeToFirstAnswer(activate, stateDirectory),
      node: () => timeOf([NODE, '-e', '0'], plainEnvironment()),
    };
    await interleave(1, candidates);
    const times = await interleave(choose(25, 5), candidates);
    const line = {
      row: 'activation',
      what: 'start by socket activation, from connect(2) to the answer of Get',
      against: '`node -e 0` of the same Node, from its start to its end',
      unit: 'ms',
    } as const;
    return [ratio(line, times.cold, times.node)];
  },
};

async function timeToFirstAnswer(activate: string, stateDirectory: string): Promise<number> {
  await using scope = new BenchScope();
  const socketPath = path.join(temporaryDirectory(scope, 'cio-bench'), 'varlink');
  const folders = ['--state-dir', stateDirectory, '--runtime-dir', path.dirname(socketPath)];
  const daemon = [...DAEMON_COMMAND, ...DAEMON_ARGUMENTS, ...folders];
  // The activator becomes the daemon at the first connection.
  const service = new Service(scope, [activate, `--listen=${socketPath}`, '--fdname=varlink', ...daemon]);
  await until(service, () => Promise.resolve(existsSync(socketPath) || undefined));
  const startedMs = performance.now();
  await callOnce(scope, { socketPath }, 'Get', { name: nameOf(1) });
  const ms = performance.now() - startedMs;
  await service.stop();
  return ms;
}
