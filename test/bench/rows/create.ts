import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { rateOf, WINDOW } from '../load.ts';
import type { LoadTarget } from '../load.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { callOnce, NODE, startInstalledDaemon } from '../servers.ts';
import { interleave } from '../statistics.ts';

const REFERENCE =
  'better-sqlite3 alone: one insert in each transaction, of a random key of 16 bytes (unique) and 592 bytes (what the daemon seals for one credential); WAL, synchronous=FULL, same file system';
const CONNECTIONS = 8;
/** Each of them waits for the disk by itself. */
const CALLS_ONE_AT_A_TIME = 64;

/** Storing one credential in a call, durably. */
export const create: Row = {
  id: 'create',
  async measure({ scope, load, choose }: Bench): Promise<Measurement[]> {
    const daemon = await startInstalledDaemon(scope);
    const one = await load.open(daemon, 1);
    const eight = await load.open(daemon, CONNECTIONS);
    const insert = await startBareInserts(scope);
    let created = 0;
    const store = (target: LoadTarget, calls: number, window: number) => async (): Promise<number> => {
      const plan = { kind: 'create', first: created, perCall: 1 } as const;
      created += calls;
      return rateOf(await target.pipelined(plan, { calls, window }));
    };
    const calls = choose(2048, 1024);
    const candidates = {
      one: store(one, calls, WINDOW),
      eight: store(eight, calls, WINDOW),
      alone: store(one, CALLS_ONE_AT_A_TIME, 1),
      bare: () => insert(calls / 2),
    };
    await interleave(1, candidates);
    const rates = await interleave(choose(20, 4), candidates);
    const { credentials: stored } = await callOnce(scope, daemon, 'Status');
    if (stored !== created) throw new Error(`${created} credentials were to be stored, not ${String(stored)}`);
    await one.close();
    await eight.close();
    const line = { row: 'create', against: REFERENCE, unit: '/s' } as const;
    const budget = { kind: 'at least', limit: 2 } as const;
    return [
      ratio({ ...line, what: `durable Create, 1 × ${WINDOW} pipelined`, budget }, rates.one, rates.bare),
      ratio({ ...line, what: `durable Create, ${CONNECTIONS} × ${WINDOW} pipelined` }, rates.eight, rates.bare),
      ratio({ ...line, what: 'durable Create, one at a time' }, rates.alone, rates.bare),
    ];
  },
};

/** @returns what makes so many inserts and says how many it made in a second */
async function startBareInserts(scope: Scope): Promise<(count: number) => Promise<number>> {
  const file = path.join(temporaryDirectory(scope, 'cio-bench'), 'bare.db');
  const script = path.join(import.meta.dirname, '..', 'bare-inserts.ts');
  const child = fork(script, [file], { execPath: NODE, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  scope.after(() => void child.kill('SIGKILL'));
  return async (count) => {
    child.send(count);
    const [ms] = (await once(child, 'message')) as [number];
    return (count / ms) * 1000;
  };
}
