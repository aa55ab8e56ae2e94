import { credentialsOfSets } from '../calls.ts';
import type { Plan } from '../calls.ts';
import { takeTurns } from '../one-processor.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { callOnce, ECHO_SERVER, startDaemonWithFew, startEchoServer } from '../servers.ts';
import { interleave } from '../statistics.ts';

const SETS = 16;
const SET_MEMBERS = 4;
const SET_PLAN: Plan = { kind: 'get-set', sets: SETS };
const GET_PLAN: Plan = { kind: 'get', credentials: SETS, order: 'in turn' };
/** Calls whose times make one median. */
const CALLS_PER_BLOCK = 1000;

/** `GetSet` of a complete set of four fields, on one connection, one call at a time. */
export const getSet: Row = {
  id: 'get-set',
  async measure({ scope, load, choose }: Bench): Promise<Measurement[]> {
    const daemon = await startDaemonWithFew(scope);
    await callOnce(scope, daemon, 'Create', { credentials: credentialsOfSets(SETS) });
    const target = await load.open(daemon, 1);
    const echoServer = await startEchoServer(scope, await target.sample(SET_PLAN));
    const echo = await load.open(echoServer, 1);
    for (const opened of [target, echo]) scope.after(() => opened.close());
    const candidates = {
      set: () => target.oneAtATime(SET_PLAN, CALLS_PER_BLOCK),
      echo: () => echo.oneAtATime(SET_PLAN, CALLS_PER_BLOCK),
      // What a client without GetSet would do at best: four calls, one after another.
      members: async () => SET_MEMBERS * (await target.oneAtATime(GET_PLAN, CALLS_PER_BLOCK)),
    };
    takeTurns(scope, load, [daemon, echoServer]);
    await interleave(3, candidates);
    const times = await interleave(choose(60, 15), candidates);
    const line = { row: 'get-set', what: `GetSet of ${SET_MEMBERS} fields, one at a time, p50`, unit: 'µs' } as const;
    return [
      ratio({ ...line, against: ECHO_SERVER }, times.set, times.echo),
      ratio(
        { ...line, what: '… against a Get for each', against: `${SET_MEMBERS} times the p50 of Get, same daemon` },
        times.set,
        times.members,
      ),
    ];
  },
};
