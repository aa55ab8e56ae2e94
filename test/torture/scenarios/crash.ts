import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError, CredentialError, type CredentialClient } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { DaemonRun } from '../crash/daemon-run.ts';
import type { FileCall, Moment } from '../crash/daemon-run.ts';
import { Copier } from '../crash/copier.ts';
import { firstStarts } from '../crash/first-starts.ts';
import { Keeper } from '../crash/keeper.ts';
import { Kills } from '../crash/kills.ts';
import { newFiles } from '../crash/new-files.ts';
import { wholeChanges } from '../crash/whole-changes.ts';
import { Writer } from '../crash/writer.ts';
import { leftOut, outcomesOf } from '../scenario.ts';
import type { Outcome, Scenario, Torture } from '../scenario.ts';

const WRITERS = 4;

/** Longest life of a daemon before a random kill, in ms; it commits every one or two. */
const LIFE_MS = 120;

/**
 * The system calls before which daemons are killed, in turns, and the highest number of each: a commit writes a few
 * pages and syncs them, the WAL is truncated once a second after deletions, and only a start removes files.
 */
const LAST_CALLS: readonly (readonly [FileCall, number])[] = [
  ['pwrite64', 600],
  ['fsync', 200],
  ['pwrite64', 600],
  ['ftruncate', 9],
  ['pwrite64', 600],
  ['fsync', 200],
  ['pwrite64', 600],
  ['unlink', 4],
];

/** How long a daemon is given to reach the moment chosen for it, in ms. */
const PATIENCE_MS = 1200;

/** Kills daemons under load, at random and at chosen moments. What was acknowledged must be there, and whole. */
export const crash: Scenario = {
  id: 'crash',
  describe: 'SIGKILL under load, at random moments and before each change of a file',
  async *run(torture) {
    const missing = skipUnless(tracer);
    yield* killAgainAndAgain(torture, missing);
    if (missing === false) {
      yield await firstStarts(torture);
      yield* wholeChanges(torture);
      yield await newFiles(torture);
    } else {
      yield leftOut('… and at any step of a first start, a rekey, a restore, a repair, a backup', missing);
    }
  },
};

/**
 * Kills the daemons of one store, one after another, and checks each time what the last one left.
 *
 * @param missing why none can be killed at a chosen moment; false if that is possible
 */
export function killAgainAndAgain(torture: Torture, missing: string | false): AsyncIterable<Outcome> {
  const { scope, random, choose, progress } = torture;
  const directory = temporaryDirectory(scope, 'cio-crash');
  const state = path.join(directory, 'state');
  const store: Store = {
    directories: { state, run: path.join(directory, 'run') },
    writers: Array.from({ length: WRITERS }, (_, id) => new Writer(id, random)),
    keeper: new Keeper(state),
    copier: new Copier(state, random),
  };
  const atRandom = new Kills();
  const chosen = new Kills();
  let last = atRandom;
  const next = async (kills: Kills, death: Death): Promise<void> => {
    const before = last;
    last = kills;
    await liveAndDie(store, death, kills, before);
  };
  const work = async (): Promise<void> => {
    const pairs = choose(1000, 200) / 2;
    const turns = new Map<FileCall, number>();
    for (let pair = 0; pair < pairs; pair += 1) {
      if (missing === false) await next(chosen, { moment: nextMoment(pair, turns), lifeMs: PATIENCE_MS });
      await next(atRandom, { lifeMs: 1 + random.below(LIFE_MS) });
      progress(2 * (pair + 1), 2 * pairs);
    }
    await next(new Kills(), { lifeMs: 0 });
    for (const wrong of await store.keeper.verifyKeyFiles()) atRandom.breaches.add(`after the last kill: ${wrong}`);
  };
  return outcomesOf(work, () => [
    missing === false ? chosen.outcome(AT_CHOSEN_MOMENTS) : leftOut(AT_CHOSEN_MOMENTS, missing),
    atRandom.outcome(AT_RANDOM),
    store.copier.outcome,
  ]);
}

const AT_CHOSEN_MOMENTS = 'acknowledged calls survive SIGKILL before any write, sync, rename or removal of a file';
const AT_RANDOM = '… and at a random moment';

/** A store, and the clients that know what it must have. */
interface Store {
  readonly directories: { readonly state: string; readonly run: string };
  readonly writers: readonly Writer[];
  readonly keeper: Keeper;
  readonly copier: Copier;
}

/**
 * Returns the next moment, counting each call from the first one on, so that those of a start and of the first commits
 * are included.
 */
function nextMoment(pair: number, turns: Map<FileCall, number>): Moment {
  const [call, most] = LAST_CALLS[pair % LAST_CALLS.length] ?? ['pwrite64', 1];
  const turn = turns.get(call) ?? 0;
  turns.set(call, turn + 1);
  return { call, count: 1 + (turn % most) };
}

interface Death {
  /** What the daemon dies before; if it never comes to that, it is killed at the end of its life. */
  readonly moment?: Moment;
  /** How long clients work with it, in ms. */
  readonly lifeMs: number;
}

/**
 * Starts a daemon, checks what the last one left, works with it, and kills it.
 *
 * @param before the kind of the last kill
 */
async function liveAndDie(store: Store, { moment, lifeMs }: Death, kills: Kills, before: Kills): Promise<void> {
  await using scope = new BenchScope();
  store.copier.noteLeftovers();
  const daemon = new DaemonRun(scope, store.directories, { dieBefore: moment });
  kills.count += 1;
  await using client = await daemon.ready();
  if (client === undefined) {
    const isAtMoment = moment !== undefined && daemon.failure === undefined;
    if (isAtMoment) kills.beforeReady += 1;
    else before.breaches.add(`after kill ${before.count} the daemon does not start: ${daemon.account}`);
    if (moment !== undefined) kills.noteMoment(moment, isAtMoment);
    return;
  }
  try {
    for (const wrong of await inspect(client, store)) before.breaches.add(`after kill ${before.count}: ${wrong}`);
  } catch (error) {
    // It died during the check, so the next daemon is checked instead. Nothing is written before the check is done, as
    // a dying daemon may still accept a connection.
    if (!(error instanceof ConnectionError)) throw error;
    const wrong = await daemon.end();
    if (wrong !== undefined) before.breaches.add(`looked at after kill ${before.count}: ${wrong}`);
    else if (moment === undefined) throw error;
    if (moment !== undefined) kills.noteMoment(moment, wrong === undefined);
    return;
  }
  for (const refusal of await work(daemon, store, lifeMs, kills)) {
    before.breaches.add(`after kill ${before.count} a change is refused: ${refusal}`);
  }
  if (moment !== undefined) kills.noteMoment(moment, !daemon.isKilled && daemon.failure === undefined);
}

/** Has all clients write until the daemon is gone; it is killed at the end of its life. Returns the refusals. */
async function work(
  daemon: DaemonRun,
  { writers, keeper, copier }: Store,
  lifeMs: number,
  kills: Kills,
): Promise<string[]> {
  const acknowledged = (): number => [...writers, keeper].reduce((sum, one) => sum + one.acknowledgements, 0);
  const before = acknowledged();
  let isCutOff = false;
  const use = async (change: (client: CredentialClient) => Promise<void>): Promise<string | undefined> => {
    const end = await untilCutOff(daemon, change);
    if (end === CUT_OFF && !daemon.isKilled) isCutOff = true;
    return end === CUT_OFF ? undefined : end;
  };
  const working = [
    ...writers.map((writer) => use((client) => writer.write(client))),
    use((client) => keeper.change(client)),
    use((client) => copier.work(client)),
  ];
  await Promise.race([daemon.gone, sleep(lifeMs)]);
  const wrong = await (isCutOff ? daemon.end() : daemon.kill());
  if (wrong !== undefined) kills.breaches.add(`instead of kill ${kills.count}: ${wrong}`);
  const refusals = await Promise.all(working);
  kills.acknowledgements += acknowledged() - before;
  return refusals.filter((refusal) => refusal !== undefined);
}

const CUT_OFF = 'cut off';

/** Makes changes until the connection breaks, as intended. Returns the code of a refused change instead. */
async function untilCutOff(
  daemon: DaemonRun,
  change: (client: CredentialClient) => Promise<void>,
): Promise<string | undefined> {
  try {
    await using client = await daemon.connect();
    await change(client);
    return undefined;
  } catch (error) {
    if (error instanceof ConnectionError) return CUT_OFF;
    if (error instanceof CredentialError) return error.code;
    throw error;
  }
}

async function inspect(client: CredentialClient, { writers, keeper, copier }: Store): Promise<string[]> {
  const left = copier.verify();
  const { problems } = await client.call('Fsck', {});
  const wrong = problems.map(({ what, name, detail }) => `fsck: ${what} ${name ?? ''} ${detail}`);
  for (const one of [...writers, keeper]) wrong.push(...(await one.verify(client)));
  return [...left, ...wrong];
}
