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

/**
 * Limit of the memory that the pressing clients may cost, over that before, in MiB: the limits of their connections,
 * and heap.
 */
const PEAK_MEBIBYTES = 192;
const KEPT_MEBIBYTES = 48;

/** Limit for the 99th percentile of a good client's waits, in ms. */
const P99_MS = 2000;

/** The number of connections made at a time, as the backlog of a listening socket is limited. */
const DIALS_AT_ONCE = 50;
/** Connections that find it full are retried after a pause, up to a limit. */
const DIAL_PAUSE_MS = 5;
const DIALS_PER_CLIENT_MAX = 20;

/** Descriptors that this process has open in addition to the clients. */
const DESCRIPTORS_BESIDES = 100;

/** Presses the daemon with clients, with few resources of a process, and with a full disk. */
export const pressure: Scenario = {
  id: 'pressure',
  describe:
    'idle, slow, rude and broken clients, thousands of calls sent in advance, few descriptors, no processes, bursts of commands, a full disk, little memory',
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

/** Each part has daemons of its own, so that the others run even if one fails. */
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

/** Serves good clients while others press; afterwards the daemon must hold what it held before. */
async function pressOn({ choose, random, progress }: Torture, press: Press): Promise<Outcome> {
  const what = `good clients are served while pressed by ${press.what}`;
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
 * Makes connections, some at a time. Those that the daemon closes in favour of others are no failure.
 *
 * @returns the connections made
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
            // Stays registered, as a later reset of the connection is no error here.
            socket.on('error', () => resolve());
          }),
      ),
    );
    if (connected.length < before + group.length) await sleep(DIAL_PAUSE_MS);
  }
  return connected;
}

const FEW_DESCRIPTORS = 64;

/** Limit for the first call to be served again afterwards, in ms. */
const AFTERWARDS_MS = 20_000;

/** With too few descriptors for all clients, the daemon must serve those connected, and everybody afterwards. */
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
    what: `with ${FEW_DESCRIPTORS} descriptors, connected clients are served, and everybody afterwards`,
    count: rounds,
    unit: 'rounds',
    detail: `${2 * FEW_DESCRIPTORS} connections each`,
    broken: breaches.sentences,
  };
}

/**
 * Waits until a client is served again. When a process is out of descriptors, libuv closes everything in the backlog:
 * connections of clients that have left, and a new one of that moment with them.
 */
async function somebodyServed(victim: Victim): Promise<void> {
  const deadline = performance.now() + AFTERWARDS_MS;
  while (performance.now() < deadline && !victim.hasEnded) {
    const { failures } = await victim.serve(2);
    if (failures === 0) return;
  }
}

/** Memory for each running command, in MiB; it needs some 25 of its own. */
const MEBIBYTES_PER_COMMAND = 40;
/** The number of a Node process's threads, with room. */
const TASKS_PER_COMMAND = 16;
/** This process's ends of its standard streams. */
const DESCRIPTORS_PER_COMMAND = 3;

/** Runs very many commands at once, each of which must get its value. */
async function burst({ choose }: Torture): Promise<Outcome> {
  const what = 'every `cio credential get` of a burst gets its value';
  const memory = Math.floor(freeMebibytes() / MEBIBYTES_PER_COMMAND);
  const processes = Math.floor(processLimit() / 2 / TASKS_PER_COMMAND);
  const descriptors = Math.floor((descriptorLimit() - DESCRIPTORS_BESIDES) / DESCRIPTORS_PER_COMMAND);
  const possible = Math.min(memory, processes, descriptors);
  const limit = 'lack of memory, processes or descriptors';
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
