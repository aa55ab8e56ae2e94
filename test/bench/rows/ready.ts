import { Daemon } from '../../support/daemon.ts';
import { nameOf } from '../calls.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { PreparedStore } from '../prepared-stores.ts';
import type { Bench, Row } from '../row.ts';
import { BenchScope } from '../bench-scope.ts';
import { callOnce, DAEMON_ARGUMENTS, DAEMON_COMMAND, FEW } from '../servers.ts';
import { interleave } from '../statistics.ts';
import { MANY_QUICK } from './many.ts';

/** From the start of the process to the first reply. */
export const ready: Row = {
  id: 'ready',
  async measure({ stores, choose }: Bench): Promise<Measurement[]> {
    const large = await stores.get(MANY_QUICK);
    const small = await stores.get(FEW);
    const candidates = { large: () => timeToFirstAnswer(large), small: () => timeToFirstAnswer(small) };
    await interleave(1, candidates);
    const times = await interleave(choose(25, 4), candidates);
    const line = {
      row: 'ready',
      what: `start to first Get answered, ${large.credentials.toLocaleString('en')} credentials`,
      against: `the same with ${small.credentials} credentials`,
      unit: 'ms',
      budget: {
        kind: 'at most',
        limit: 1.5,
        madeOf: 'the start of Node, and the part of the store that is read before the first reply',
      },
    } as const;
    return [ratio(line, times.large, times.small)];
  },
};

async function timeToFirstAnswer({ stateDirectory, credentials }: PreparedStore): Promise<number> {
  await using scope = new BenchScope();
  const startedMs = performance.now();
  const daemon = new Daemon(scope, { command: DAEMON_COMMAND, args: DAEMON_ARGUMENTS, stateDirectory });
  await daemon.service.printed('listening');
  await callOnce(scope, daemon, 'Get', { name: nameOf(credentials - 1) });
  const ms = performance.now() - startedMs;
  await daemon.stop();
  return ms;
}
