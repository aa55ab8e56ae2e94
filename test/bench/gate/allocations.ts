import path from 'node:path';
import { startDaemon } from '../../support/daemon.ts';
import { BenchScope } from '../bench-scope.ts';
import { credentialsOf, credentialsOfSets } from '../calls.ts';
import type { Plan } from '../calls.ts';
import { Load } from '../load.ts';
import { callOnce, DAEMON_ARGUMENTS, FEW, NODE, REPOSITORY } from '../servers.ts';
import type { Figure } from './figure.ts';

/** Makes V8 report after each garbage collection how many bytes were allocated since the last one. */
const FLAGS = ['--trace-gc-nvp', '--max-semi-space-size=1', '--v8-pool-size=1'];
const COMMAND = [NODE, ...FLAGS, path.join(REPOSITORY, 'dist', 'daemon', 'main.js')];
/** Calls after which the code is compiled. */
const WARM_UP_CALLS = 5000;
const CALLS = 5000;
const WINDOW = 4;
/** No name is random here. */
const SEED = 0;

/** Counts the bytes that calls allocate on V8's heap. */
export async function allocations(): Promise<Figure[]> {
  await using scope = new BenchScope();
  const daemon = await startDaemon(scope, { command: COMMAND, args: DAEMON_ARGUMENTS });
  await callOnce(scope, daemon, 'Create', { credentials: [...credentialsOf(0, FEW), ...credentialsOfSets(FEW)] });
  const load = await new Load(scope, SEED).open(daemon, 1);
  const perCall = async (plan: Plan): Promise<number> => {
    await load.pipelined(plan, { calls: WARM_UP_CALLS, window: WINDOW });
    const before = allocatedBytes(daemon.service.output);
    await load.pipelined(plan, { calls: CALLS, window: WINDOW });
    return (allocatedBytes(daemon.service.output) - before) / CALLS;
  };
  const what = (method: string): string => `bytes allocated on the heap per ${method}`;
  return [
    {
      id: 'get-heap-bytes',
      what: what('Get'),
      value: await perCall({ kind: 'get', credentials: FEW, order: 'in turn' }),
    },
    { id: 'get-set-heap-bytes', what: what('GetSet'), value: await perCall({ kind: 'get-set', sets: FEW }) },
  ];
}

function allocatedBytes(log: string): number {
  return [...log.matchAll(/\ballocated=(\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}
