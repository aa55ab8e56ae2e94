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

/** Longest time that a daemon is let live before a random kill, in milliseconds; it commits every one or two. */
const LIFE_MS = 120;

/**
 * What is the last that a daemon is about to do, in turns, and up to its how manieth one: a commit writes a few pages and
 * syncs them, what was deleted is cut off the journal once a second, and only a start removes files.
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

/** How long the moment that was chosen for a daemon is waited for. */
const PATIENCE_MS = 1200;

/** Kills daemons under load, at random and at chosen moments; what was acknowledged must be there, and whole. */
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
      yield leftOut(
        '… and at any step of a first start, a change of the data key, a restore, a repair, a backup',
        missing,
      );
    }
  },
};

/**
 * Kills the daemons of one store, each by itself, and looks each time at what the last one left.
 *
 * @param missing why none can be killed at a chosen moment; false where that can be done
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

const AT_CHOSEN_MOMENTS = 'what was acknowledged survives SIGKILL before any write, sync, rename or removal of a file';
const AT_RANDOM = '… and at a random moment';

/** A store, and those who know what must be in it. */
interface Store {
  readonly directories: { readonly state: string; readonly run: string };
  readonly writers: readonly Writer[];
  readonly keeper: Keeper;
  readonly copier: Copier;
}

/** From the first one of each call on: none of a start and of the first commits is left out. */
function nextMoment(pair: number, turns: Map<FileCall, number>): Moment {
  const [call, most] = LAST_CALLS[pair % LAST_CALLS.length] ?? ['pwrite64', 1];
  const turn = turns.get(call) ?? 0;
  turns.set(call, turn + 1);
  return { call, count: 1 + (turn % most) };
}

interface Death {
  /** What it dies before; where it never comes to that, its life ends as any other. */
  readonly moment?: Moment;
  /** How long it is worked with, in milliseconds. */
  readonly lifeMs: number;
}

/**
 * Starts a daemon, looks at what the last one left, works with it, and kills it.
 *
 * @param before the kills of which the last one was
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
    // It died while it was looked at; the next one is looked at instead. Nothing is written until then: a daemon that is
    // just dying may still take a connection.
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

/** Lets everybody write until the daemon is gone; it is killed when its time is up. Gives what it refused. */
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

/** A connection that breaks is how it is to end. A change that is refused instead is told by its name. */
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
