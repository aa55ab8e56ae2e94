import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchScope } from '../../bench/bench-scope.ts';
import { stayIfInterrupted } from '../../bench/interruption.ts';
import { run } from '../../support/process.ts';
import { REPOSITORY } from '../../bench/servers.ts';
import { fullDisk } from '../pressure/full-disk.ts';
import { LEAST_PART, lessThanAsked } from '../pressure/less-than-asked.ts';
import { littleMemory } from '../pressure/little-memory.ts';
import { noProcesses } from '../pressure/no-processes.ts';
import { PRESSES } from '../pressure/presses.ts';
import type { Press } from '../pressure/presses.ts';
import { sentBeforehand } from '../pressure/sent-beforehand.ts';
import { tooLittleMemory } from '../pressure/too-little-memory.ts';
import { describeDescriptors, descriptorsLeftOut, leakedDescriptors, SMALL, Victim } from '../pressure/victim.ts';
import { descriptorLimit, freeMebibytes, processLimit } from '../../support/process-limits.ts';
import { Breaches, leftOut, partly } from '../scenario.ts';
import type { Outcome, Scenario, Torture } from '../scenario.ts';

/** What those who press may cost, over what the daemon had before, in MiB: the bounds of its connections, and heap. */
const PEAK_MEBIBYTES = 192;
const KEPT_MEBIBYTES = 48;

/** Longest time that a good client waits for an answer, whatever others do. */
const P99_MS = 2000;

/** Connections that are begun at a time: the queue of a listening socket is finite. */
const DIALS_AT_ONCE = 50;
/** Those that find it full come again a little later, but not for ever. */
const DIAL_PAUSE_MS = 5;
const DIALS_PER_CLIENT_MAX = 20;

/** What this process has open besides the clients that it plays. */
const DESCRIPTORS_BESIDES = 100;

/** Presses with clients, with little of what a process needs, and with a disk that is full. */
export const pressure: Scenario = {
  id: 'pressure',
  describe:
    'idle, slow, rude and broken clients, calls sent beforehand, few descriptors, no processes, bursts of commands, a full disk, little memory',
  async *run(torture) {
    for (const [name, part] of PARTS) {
      try {
        yield await part(torture);
      } catch (error) {
        await stayIfInterrupted();
        const broken = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
        yield { what: `${name}: it can be tried to its end`, count: 0, unit: 'ends', detail: '', broken };
      }
    }
  },
};

/** Each has daemons of its own: where one fails by itself, the others are tried all the same. */
const PARTS: readonly (readonly [name: string, part: (torture: Torture) => Promise<Outcome>])[] = [
  ...PRESSES.map((press) => [press.what, (torture: Torture) => pressOn(torture, press)] as const),
  ['calls sent beforehand', sentBeforehand],
  ['few descriptors', fewDescriptors],
  ['no processes', noProcesses],
  ['a burst of commands', burst],
  ['a full disk', fullDisk],
  ['little memory', littleMemory],
  ['too little memory', tooLittleMemory],
];

/** A good client is served while others do their worst; afterwards the daemon holds what it held before. */
async function pressOn({ choose, random, progress }: Torture, press: Press): Promise<Outcome> {
  const what = `good clients are served besides ${press.what}`;
  const possible = descriptorLimit() - DESCRIPTORS_BESIDES;
  const { count, notRun, fewer } = lessThanAsked(choose(...press.clients), possible, 'clients', 'ulimit -Hn');
  if (notRun !== undefined) return leftOut(what, notRun);
  await using scope = new BenchScope();
  const victim = await Victim.start(scope);
  await victim.fill();
  await victim.serve(100);
  const before = victim.holdings;
  victim.peakMebibytes = 0;
  const sockets = await dial(victim.daemon.socketPath, count, (socket) => press.start(socket, random));
  const pressed = sockets.length;
  progress(1, 2);
  const served = await victim.serve(choose(2000, 300));
  for (const socket of sockets) socket.destroy();
  const after = await victim.settled(before);
  const breaches = new Breaches();
  const grown = victim.peakMebibytes - before.mebibytes;
  const end = await victim.end(served.failures > 0);
  if (end !== undefined) breaches.add(end);
  if (pressed < count * LEAST_PART) breaches.add(`only ${pressed} of ${count} clients could connect`);
  if (served.failures > 0) {
    const first = `the first with ${served.firstFailure ?? 'no value'}`;
    breaches.add(`${served.failures} of ${served.calls} calls of a good client failed, ${first}`);
  }
  if (served.p99Ms > P99_MS) breaches.add(`a good client waited ${served.p99Ms.toFixed(0)} ms`);
  if (grown > PEAK_MEBIBYTES) breaches.add(`the daemon grew by ${grown.toFixed(0)} MiB`);
  if (after.mebibytes - before.mebibytes > KEPT_MEBIBYTES) breaches.add('the daemon keeps the memory');
  const leaked = leakedDescriptors(before, after);
  if (leaked !== undefined) breaches.add(leaked);
  progress(2, 2);
  return {
    what,
    count: pressed,
    unit: 'clients',
    detail:
      `Get p50 ${served.p50Ms.toFixed(1)} ms, p99 ${served.p99Ms.toFixed(1)} ms, longest ${served.longestMs.toFixed(0)} ms, ` +
      `without ${served.processorWaitMs.toFixed(0)} ms in which the daemon waited for a processor; memory +${grown.toFixed(0)} MiB at most, ` +
      `${(after.mebibytes - before.mebibytes).toFixed(0)} MiB afterwards${describeDescriptors(before, after)}`,
    broken: breaches.sentences,
    partly: partly(fewer, descriptorsLeftOut(before)),
  };
}

/**
 * Connects some at a time. Those that the daemon closes for others are how it defends itself.
 *
 * @returns those who came through
 */
async function dial(path: string, count: number, start: (socket: net.Socket) => void): Promise<net.Socket[]> {
  const connected: net.Socket[] = [];
  for (let dials = 0; connected.length < count && dials < DIALS_PER_CLIENT_MAX * count;) {
    const group = Array.from({ length: Math.min(DIALS_AT_ONCE, count - connected.length) }, () => net.connect(path));
    dials += group.length;
    const before = connected.length;
    await Promise.all(
      group.map(
        (socket) =>
          new Promise<void>((resolve) => {
            socket.once('connect', () => {
              connected.push(socket);
              start(socket);
              resolve();
            });
            // Listened to as long as it lives: a reset in the middle of it is no defect of ours.
            socket.on('error', () => resolve());
          }),
      ),
    );
    if (connected.length < before + group.length) await sleep(DIAL_PAUSE_MS);
  }
  return connected;
}

const FEW_DESCRIPTORS = 64;

/** Longest time after which somebody is served again. */
const AFTERWARDS_MS = 20_000;

/** With too few descriptors for all who come, the daemon serves who is there, and everybody again afterwards. */
async function fewDescriptors({ choose }: Torture): Promise<Outcome> {
  await using scope = new BenchScope();
  const victim = await Victim.start(scope, ['prlimit', `--nofile=${FEW_DESCRIPTORS}:${FEW_DESCRIPTORS}`, '--']);
  await victim.fill();
  const breaches = new Breaches();
  const rounds = choose(20, 3);
  for (let round = 0; round < rounds && !victim.hasEnded; round += 1) {
    try {
      await using early = await victim.connect();
      await early.call('Get', { name: SMALL });
      const sockets = await dial(victim.daemon.socketPath, 2 * FEW_DESCRIPTORS, () => undefined);
      if (sockets.length < FEW_DESCRIPTORS) breaches.add(`round ${round}: only ${sockets.length} could connect`);
      await early.call('Get', { name: SMALL });
      for (const socket of sockets) socket.destroy();
    } catch (error) {
      breaches.add(`round ${round}: a client who was there is not served: ${String(error)}`);
    }
    await somebodyServed(victim);
    const { failures, firstFailure } = await victim.serve(20);
    if (failures > 0) breaches.add(`round ${round}: ${failures} of 20 calls failed afterwards, first ${firstFailure}`);
  }
  const end = await victim.end(breaches.sentences.length > 0);
  if (end !== undefined) breaches.add(end);
  return {
    what: `with ${FEW_DESCRIPTORS} descriptors, who is connected is served, and everybody afterwards`,
    count: rounds,
    unit: 'rounds',
    detail: `${2 * FEW_DESCRIPTORS} connections each`,
    broken: breaches.sentences,
  };
}

/**
 * “Afterwards” begins with the first one who is served: libuv closes everything that is in the queue of a process without
 * descriptors, and with those who have left there already, whoever comes in that moment.
 */
async function somebodyServed(victim: Victim): Promise<void> {
  const deadline = performance.now() + AFTERWARDS_MS;
  while (performance.now() < deadline && !victim.hasEnded) {
    const { failures } = await victim.serve(2);
    if (failures === 0) return;
  }
}

/** Processes that run at a time take some 25 MiB of their own each. */
const MEBIBYTES_PER_COMMAND = 40;
/** The threads of a Node. */
const TASKS_PER_COMMAND = 16;
/** Its standard input, output and error, on our side. */
const DESCRIPTORS_PER_COMMAND = 3;

/** Very many commands at once: every one of them gets its value. */
async function burst({ choose }: Torture): Promise<Outcome> {
  const what = 'a burst of `cio credential get`, all at once, gets its values';
  const memory = Math.floor(freeMebibytes() / MEBIBYTES_PER_COMMAND);
  const processes = Math.floor(processLimit() / 2 / TASKS_PER_COMMAND);
  const descriptors = Math.floor((descriptorLimit() - DESCRIPTORS_BESIDES) / DESCRIPTORS_PER_COMMAND);
  const possible = Math.min(memory, processes, descriptors);
  const limit = 'want of memory, processes or descriptors';
  const { count, notRun, fewer } = lessThanAsked(choose(500, 60), possible, 'commands', limit);
  if (notRun !== undefined) return leftOut(what, notRun);
  await using scope = new BenchScope();
  const victim = await Victim.start(scope);
  await victim.fill();
  const command = [`${REPOSITORY}/bin/cio`, 'credential', 'get', SMALL, '--socket', victim.daemon.socketPath];
  const startedMs = performance.now();
  const finished = await Promise.all(Array.from({ length: count }, () => run(command, { timeoutMs: 300_000 })));
  const seconds = (performance.now() - startedMs) / 1000;
  const breaches = new Breaches();
  for (const { code, stdout, stderr } of finished) {
    if (code !== 0 || !stdout.toString().startsWith('s3:')) breaches.add(`cio ended with ${code}: ${stderr}`);
  }
  return {
    what,
    count,
    unit: 'commands',
    detail: `${seconds.toFixed(1)} s for all`,
    broken: breaches.sentences,
    partly: fewer,
  };
}
