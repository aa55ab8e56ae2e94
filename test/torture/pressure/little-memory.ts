import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Writer } from '../crash/writer.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { makeCage } from './memory-cage.ts';
import type { Cage } from './memory-cage.ts';
import { callOf, PRESSES } from './presses.ts';
import { Victim } from './victim.ts';
import type { Service } from './victim.ts';

/**
 * What a daemon needs at the worst of times, with room for what the machine counts besides (the pages of the program that
 * no other process has open), in MiB; and too little, at which the kernel may end it in the middle of its work.
 */
const ENOUGH_MEBIBYTES = 192;
const TOO_LITTLE_MEBIBYTES = 64;

const LISTED = 2000;
const PER_CALL = 500;
/** Clients of each kind, all at once; each of these presses holds what one user may hold by itself. */
const CLIENTS = 15;

/** How long is waited for the end of a daemon that does not answer. */
const END_MS = 5000;

/** Presses from all sides at once, in a cage. */
export async function* littleMemory(torture: Torture): AsyncGenerator<Outcome> {
  yield await pressInCage(torture, ENOUGH_MEBIBYTES, true);
  yield await pressInCage(torture, TOO_LITTLE_MEBIBYTES, false);
}

async function pressInCage(torture: Torture, mebibytes: number, isEnough: boolean): Promise<Outcome> {
  const { choose, random, progress } = torture;
  await using scope = new BenchScope();
  const breaches = new Breaches();
  const what = isEnough
    ? 'with little memory, good clients are served besides all of these at once, and the daemon stays'
    : '… and with too little, it may be ended by the kernel, but nothing is lost';
  const cage = makeCage(scope, mebibytes);
  if (cage === undefined) return leftOut(what, 'needs a cgroup with a limit of memory, which root may mostly make');
  const state = path.join(temporaryDirectory(scope, 'cio-cage'), 'state');
  const writer = new Writer(0, random);
  const rounds = choose(20, 2);
  let [ends, served, failures] = [0, 0, 0];
  {
    await using life = new BenchScope();
    await fill(await Victim.start(life, [], state));
  }
  for (let round = 0; round < rounds; round += 1) {
    const service = await pressAndServe(cage, state, writer, torture);
    if (service === undefined) ends += 1;
    else [served, failures] = [served + service.calls, failures + service.failures];
    for (const wrong of await lookAt(state, writer)) breaches.add(`after round ${round}: ${wrong}`);
    progress(round + 1, rounds);
  }
  if (isEnough && ends > 0) breaches.add(`it ended ${ends} times`);
  if (failures > 0) breaches.add(`${failures} of ${served} calls of a good client failed`);
  if (isEnough && writer.acknowledgements === 0) breaches.add('nothing was written');
  return {
    what,
    count: rounds,
    unit: 'rounds',
    detail: `${describe(cage)}; ${served} calls served, ${writer.acknowledgements} writes acknowledged; ended ${ends} times`,
    broken: breaches.sentences,
  };
}

/** Undefined where the daemon ended. */
async function pressAndServe(
  cage: Cage,
  state: string,
  writer: Writer,
  torture: Torture,
): Promise<Service | undefined> {
  await using life = new BenchScope();
  // With too little, it may not even come to its start.
  const victim = await Victim.start(life, cage.prefix, state).catch(() => undefined);
  if (victim === undefined) return undefined;
  const sockets = pressEverywhere(victim.daemon.socketPath, torture);
  const hand = await victim.connect().catch(() => undefined);
  const writing = hand === undefined ? undefined : untilClosed(writer.write(hand));
  const service = await victim.serve(torture.choose(1000, 60)).catch(() => undefined);
  hand?.close();
  await writing;
  for (const socket of sockets) socket.destroy();
  const { exit, exited } = victim.daemon.service;
  // The connections of a process that the kernel ends are closed a little before one is told of its end.
  if (exit === undefined && service?.failures !== 0) await Promise.race([exited, sleep(END_MS)]);
  return victim.daemon.service.exit === undefined ? service : undefined;
}

async function untilClosed(writing: Promise<never>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
  }
}

/** What is wrong with what there is, as a daemon with all the memory of the machine finds it. */
async function lookAt(state: string, writer: Writer): Promise<string[]> {
  await using scope = new BenchScope();
  const victim = await Victim.start(scope, [], state);
  await using client = await victim.connect();
  const { problems } = await client.call('Fsck', {});
  return [...problems.map(({ what, detail }) => `fsck: ${what} ${detail}`), ...(await writer.verify(client))];
}

async function fill(victim: Victim): Promise<void> {
  await victim.fill();
  await using client = await victim.connect();
  for (let start = 0; start < LISTED; start += PER_CALL) {
    const credentials = Array.from({ length: PER_CALL }, (_, index) => ({
      name: `listed-${start + index}`,
      value: 'v'.repeat(100),
    }));
    await client.call('Create', { credentials });
  }
}

/** Large values that nobody reads, halves of messages, messages without end, lists, watches and writes of large values. */
function pressEverywhere(socketPath: string, { random }: Torture): net.Socket[] {
  const large = callOf('Create', {
    credentials: [{ name: 'large-too', value: 'x'.repeat(1024 * 1024) }],
    replace: true,
  });
  const presses: readonly ((socket: net.Socket) => unknown)[] = [
    ...PRESSES.map(
      (press) =>
        (socket: net.Socket): void =>
          press.start(socket, random),
    ),
    (socket) => socket.pause().write(callOf('List', {}, { more: true }).repeat(4)),
    (socket) => socket.resume().write(callOf('Watch', {}, { more: true })),
    (socket) => socket.resume().write(large),
  ];
  return presses.flatMap((start) =>
    Array.from({ length: CLIENTS }, () => {
      const socket = net.connect(socketPath, () => void start(socket));
      return socket.on('error', () => undefined);
    }),
  );
}

function describe({ what, peakMebibytes }: Cage): string {
  return `${what}, at most ${peakMebibytes().toFixed(0)} used`;
}
