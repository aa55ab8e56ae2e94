import { setTimeout as sleep } from 'node:timers/promises';
import { BenchScope } from '../../bench/bench-scope.ts';
import { eventually } from '../../support/eventually.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { crowd } from './crowd.ts';
import { ENOUGH_MEBIBYTES, NEEDS_CAGE } from './little-memory.ts';
import { makeCage } from './memory-cage.ts';
import type { Cage } from './memory-cage.ts';
import { Victim } from './victim.ts';
import { WrittenStore } from './written-store.ts';

/**
 * Limit of the memory left to a daemon above what it has when the pressing begins, in MiB: a part of what a crowd
 * takes, so that the daemon is killed in the middle of its work. In the first round nothing is left.
 */
const ROOM_MEBIBYTES = 32;

/** Writes that must be acknowledged before memory is limited. */
const WRITTEN_BEFORE = 5;

/** Longest time that a crowd presses a daemon with enough memory, in ms. */
const PRESS_MS = 5000;

/**
 * Matches Node's message when V8, which knows its cgroup's limit, gives up before the kernel does and ends by SIGABRT.
 */
const HEAP_IS_FULL = /^FATAL ERROR: .*out of memory/im;

/** How the daemons of all rounds ended. */
interface Ends {
  byKernel: number;
  byNode: number;
  none: number;
  /** The rounds in which a write was refused, perhaps because the kernel had no memory. */
  refusals: number;
}

/**
 * Limits the memory of a daemon under writes: only a lack of memory may end it, and nothing acknowledged may be lost.
 */
export async function tooLittleMemory(torture: Torture): Promise<Outcome> {
  const { choose, random, progress } = torture;
  await using scope = new BenchScope();
  const breaches = new Breaches();
  const what = '… and with too little, only the kernel or Node ends it for lack of memory, and nothing is lost';
  const rounds = choose(20, 2);
  const ends: Ends = { byKernel: 0, byNode: 0, none: 0, refusals: 0 };
  const store = await WrittenStore.make(scope, random);
  let how = '';
  for (let round = 0; round < rounds; round += 1) {
    await using life = new BenchScope();
    const cage = makeCage(life, ENOUGH_MEBIBYTES);
    if (cage === undefined) return leftOut(what, NEEDS_CAGE);
    if (cage.canSwap) return leftOut(what, 'needs a cgroup with a swap limit');
    how = cage.what;
    const victim = await Victim.start(life, cage.prefix, store.state);
    const refusal = await pressUntilItEnds(victim, cage, store, torture, (ROOM_MEBIBYTES * round) / rounds);
    const end = await judge(victim, cage, ends);
    if (end !== undefined) breaches.add(`round ${round}: ${end}`);
    if (refusal !== undefined) ends.refusals += 1;
    for (const wrong of await store.wrongs()) breaches.add(`after round ${round}: ${wrong}`);
    progress(round + 1, rounds);
  }
  if (ends.byKernel === 0) breaches.add('the kernel ended none: there was memory enough');
  return {
    what,
    count: rounds,
    unit: 'rounds',
    detail:
      `${how}, then what is in use and up to ${ROOM_MEBIBYTES} MiB; ${store.writer.acknowledgements} writes acknowledged; ` +
      `${ends.byKernel} ended by the kernel, ${ends.byNode} by Node, ${ends.none} not at all, ${ends.refusals} with a write refused`,
    broken: breaches.sentences,
  };
}

/**
 * Presses a daemon until it ends or the time is up. Returns the code of a refused write. @throws Error if nothing is
 * acknowledged before memory is limited
 */
async function pressUntilItEnds(
  victim: Victim,
  cage: Cage,
  store: WrittenStore,
  torture: Torture,
  room: number,
): Promise<string | undefined> {
  const over = new AbortController();
  const { writer } = store;
  const enough = writer.acknowledgements + WRITTEN_BEFORE;
  const writing = store.write(victim, over.signal);
  await eventually(() => writer.acknowledgements >= enough);
  cage.leaveMebibytes(room);
  const sockets = crowd(victim.daemon.socketPath, torture);
  await Promise.race([victim.daemon.service.exited, sleep(PRESS_MS)]);
  over.abort();
  for (const socket of sockets) socket.destroy();
  return await writing;
}

/**
 * Counts how the daemon ended. Returns a description of an end that a lack of memory does not explain; the cgroup
 * counts the processes killed for it.
 */
async function judge(victim: Victim, cage: Cage, ends: Ends): Promise<string | undefined> {
  const { exit, output } = victim.daemon.service;
  if (exit === undefined) ends.none += 1;
  else if (exit.signal === 'SIGKILL' && cage.kills() > 0) ends.byKernel += 1;
  else if (exit.signal === 'SIGABRT' && HEAP_IS_FULL.test(output)) ends.byNode += 1;
  else return await victim.end(false);
  return undefined;
}
