import { BenchScope } from '../../bench/bench-scope.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { crowd } from './crowd.ts';
import { makeCage } from './memory-cage.ts';
import type { Cage } from './memory-cage.ts';
import { Victim } from './victim.ts';
import type { Service } from './victim.ts';
import { WrittenStore } from './written-store.ts';

/**
 * Memory that a daemon needs at most, in MiB, with room for what else is charged to its cgroup (pages of the program
 * that no other process has mapped).
 */
export const ENOUGH_MEBIBYTES = 192;

export const NEEDS_CAGE = 'needs a cgroup with a memory limit, which usually needs root';

/** Presses a daemon in a memory cgroup from all sides at once. */
export async function littleMemory(torture: Torture): Promise<Outcome> {
  const { choose, random, progress } = torture;
  await using scope = new BenchScope();
  const breaches = new Breaches();
  const what = 'with little memory, good clients are served while all of these press at once, and the daemon survives';
  const cage = makeCage(scope, ENOUGH_MEBIBYTES);
  if (cage === undefined) return leftOut(what, NEEDS_CAGE);
  const store = await WrittenStore.make(scope, random);
  const rounds = choose(20, 2);
  let served = 0;
  for (let round = 0; round < rounds; round += 1) {
    const { service, refusal, end } = await pressAndServe(cage, store, torture);
    served += service.calls - service.failures;
    if (end !== undefined) breaches.add(`round ${round}: ${end}`);
    if (service.failures > 0) {
      const first = `the first with ${service.firstFailure ?? 'no value'}`;
      breaches.add(`round ${round}: ${service.failures} of ${service.calls} calls of a good client failed, ${first}`);
    }
    if (refusal !== undefined) breaches.add(`round ${round}: a write was refused: ${refusal}`);
    for (const wrong of await store.wrongs()) breaches.add(`after round ${round}: ${wrong}`);
    progress(round + 1, rounds);
  }
  const { acknowledgements } = store.writer;
  if (acknowledgements === 0) breaches.add('nothing was written');
  return {
    what,
    count: rounds,
    unit: 'rounds',
    detail: `${cage.what}, at most ${cage.peakMebibytes().toFixed(0)} used; ${served} calls served, ${acknowledgements} writes acknowledged`,
    broken: breaches.sentences,
  };
}

interface Pressed {
  readonly service: Service;
  readonly refusal: string | undefined;
  /** How the daemon ended; undefined if it did not. */
  readonly end: string | undefined;
}

async function pressAndServe(cage: Cage, store: WrittenStore, torture: Torture): Promise<Pressed> {
  await using life = new BenchScope();
  const victim = await Victim.start(life, cage.prefix, store.state);
  const over = new AbortController();
  const sockets = crowd(victim.daemon.socketPath, torture);
  const writing = store.write(victim, over.signal);
  const service = await victim.serve(torture.choose(300, 60));
  over.abort();
  const refusal = await writing;
  for (const socket of sockets) socket.destroy();
  return { service, refusal, end: await victim.end(service.failures > 0) };
}
