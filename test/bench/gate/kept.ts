import path from 'node:path';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { BenchScope } from '../bench-scope.ts';
import { credentialsOf } from '../calls.ts';
import type { Plan } from '../calls.ts';
import { Load } from '../load.ts';
import { callOnce, DAEMON_ARGUMENTS, FEW, NODE, REPOSITORY } from '../servers.ts';
import type { Figure } from './figure.ts';

/** Makes every garbage collection a full one, after which V8 reports what is left on the heap. */
const FLAGS = ['--trace-gc-nvp', '--gc-global', '--max-semi-space-size=1', '--v8-pool-size=1'];
const COMMAND = [NODE, ...FLAGS, path.join(REPOSITORY, 'dist', 'daemon', 'main.js')];
const WINDOW = 4;
/** No name is random here. */
const SEED = 0;

/**
 * Measures what calls and connections leave on V8's heap for good. After some thousands of each, even a few bytes per
 * call show.
 */
export async function kept(): Promise<Figure[]> {
  await using scope = new BenchScope();
  const daemon = await startDaemon(scope, { command: COMMAND, args: DAEMON_ARGUMENTS });
  await callOnce(scope, daemon, 'Create', { credentials: credentialsOf(0, FEW) });
  const load = await new Load(scope, SEED).open(daemon, 1);
  const calls = (plan: Plan) => async (count: number) =>
    void (await load.pipelined(plan, { calls: count, window: WINDOW }));
  // The warm-up compiles code and fills caches. What either still leaves must be small beside what many calls would.
  const perGet = await keptPer(daemon, calls({ kind: 'get', credentials: FEW, order: 'in turn' }), 3000, 5000);
  const perCreate = await keptPer(daemon, calls({ kind: 'replace', credentials: FEW }), 3000, 3000);
  const perList = await keptPer(daemon, calls({ kind: 'list' }), 1000, 2000);
  const perConnection = await keptPer(daemon, (count) => comeAndGo(scope, daemon, count), 1500, 2000);
  const what = (of: string): string => `bytes kept on the heap per ${of}`;
  return [
    { id: 'get-kept-bytes', what: what('Get'), value: perGet },
    { id: 'create-kept-bytes', what: what('Create of a new version'), value: perCreate },
    { id: 'list-kept-bytes', what: what('List'), value: perList },
    { id: 'connection-kept-bytes', what: what('short connection'), value: perConnection },
  ];
}

async function keptPer(
  { service }: Daemon,
  work: (count: number) => Promise<void>,
  warmUp: number,
  count: number,
): Promise<number> {
  await work(warmUp);
  const before = liveBytes(service.output);
  await work(count);
  return (liveBytes(service.output) - before) / count;
}

/** Makes connections with one refused call each; its name is in the reply, and must not be kept afterwards. */
async function comeAndGo(scope: BenchScope, { socketPath }: Daemon, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const connection = await RawVarlink.connect(scope, socketPath);
    await connection.call('io.cio.Credentials.Get', { name: `missing-${done}` });
    connection.close();
  }
}

/** Returns the size of the heap after the last garbage collection. */
function liveBytes(log: string): number {
  const last = [...log.matchAll(/\bend_object_size=(\d+)/g)].at(-1);
  if (last === undefined) throw new Error('V8 has not told of any garbage collection');
  return Number(last[1]);
}
