import type { Daemon } from '../../support/daemon.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { BenchScope } from '../bench-scope.ts';
import { credentialsOfSets, encodeCall } from '../calls.ts';
import type { Plan } from '../calls.ts';
import { callOnce, FEW, startDaemonWithFew } from '../servers.ts';
import type { Figure } from './figure.ts';
import { leastOf } from './figure.ts';
import { countCallsOf, logCallsOf, total } from './strace.ts';

/** Large enough for occasional events (a timer, a garbage collection) not to matter. */
const CALLS = 1000;
const CREATES = 100;
/** Of Creates; each on a store of its own, since a commit touches more pages of a larger one. */
const CREATE_ROUNDS = 6;
/** On a busy machine, three of ten rounds have wake-ups of the event loop without a call. */
const CALL_ROUNDS = 8;
/** System calls that write to the store. */
const STORE_CALLS = ['fsync', 'fdatasync', 'pwrite64', 'ftruncate', 'sync_file_range'];

/** Counts the daemon's system calls for a call, and its syncs and bytes for a change. */
export async function daemonCounts(): Promise<Figure[]> {
  await using scope = new BenchScope();
  const daemon = await startDaemonWithFew(scope);
  await callOnce(scope, daemon, 'Create', { credentials: credentialsOfSets(FEW) });
  const perCall = async (plan: Plan): Promise<number> =>
    leastOf(CALL_ROUNDS, async () => {
      const connection = await RawVarlink.connect(scope, daemon.socketPath);
      const calls = await countCallsOf(scope, daemon.pid, () => askInTurn(connection, plan));
      connection.close();
      return total(calls) / CALLS;
    });
  return [
    {
      id: 'get-system-calls',
      what: 'system calls of the daemon per Get',
      value: await perCall({ kind: 'get', credentials: FEW, order: 'in turn' }),
    },
    {
      id: 'get-set-system-calls',
      what: 'system calls of the daemon per GetSet',
      value: await perCall({ kind: 'get-set', sets: FEW }),
    },
    ...(await countCreates()),
  ];
}

async function askInTurn(connection: RawVarlink, plan: Plan): Promise<void> {
  for (let place = 0; place < CALLS; place += 1) {
    connection.send(encodeCall(plan, place));
    const reply = await connection.receive();
    if (reply?.parameters === undefined) throw new Error(`a call fails: ${reply?.error ?? 'the connection ended'}`);
  }
}

/** Counts for Creates that arrive together, and for one alone. */
async function countCreates(): Promise<Figure[]> {
  const together: Changes[] = [];
  const alone: Changes[] = [];
  for (let round = 0; round < CREATE_ROUNDS; round += 1) {
    await using scope = new BenchScope();
    const daemon = await startDaemonWithFew(scope);
    together.push(await traceCreates(scope, daemon, FEW, CREATES));
    alone.push(await traceCreates(scope, daemon, FEW + CREATES, 1));
  }
  const least = (values: readonly number[]): number => Math.min(...values);
  return [
    {
      id: 'creates-syncs',
      what: `fsync and fdatasync for ${CREATES} Creates in one write`,
      value: least(together.map(({ syncs }) => syncs)),
    },
    {
      id: 'creates-bytes',
      what: `bytes written to the store for each of ${CREATES} Creates in one write`,
      value: least(together.map(({ bytes }) => bytes)) / CREATES,
    },
    { id: 'create-syncs', what: 'fsync and fdatasync for one Create', value: least(alone.map(({ syncs }) => syncs)) },
    {
      id: 'create-bytes',
      what: 'bytes written to the store for one Create',
      value: least(alone.map(({ bytes }) => bytes)),
    },
  ];
}

interface Changes {
  readonly syncs: number;
  readonly bytes: number;
}

/** Makes so many Creates in one write, of the names from `first` on. */
async function traceCreates(scope: BenchScope, daemon: Daemon, first: number, count: number): Promise<Changes> {
  const plan = { kind: 'create', first, perCall: 1 } as const;
  const calls = Array.from({ length: count }, (_, place) => encodeCall(plan, place));
  const connection = await RawVarlink.connect(scope, daemon.socketPath);
  const log = await logCallsOf(scope, daemon.pid, STORE_CALLS, async () => {
    connection.send(Buffer.concat(calls));
    for (let answered = 0; answered < count; answered += 1) {
      const reply = await connection.receive();
      if (reply?.parameters === undefined) throw new Error(`Create fails: ${reply?.error ?? 'the connection ended'}`);
    }
  });
  return {
    syncs: log.filter((line) => /\bf(?:data)?sync\(/.test(line)).length,
    bytes: log.reduce((sum, line) => sum + Number(/\bpwrite64(?:\(| resumed>).* = (\d+)$/.exec(line)?.[1] ?? 0), 0),
  };
}
