import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchScope } from '../../bench/bench-scope.ts';
import { quantile } from '../../bench/statistics.ts';
import type { Identity } from '../../support/identity.ts';
import { descriptorLimit } from '../../support/process-limits.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { atEnd } from '../../support/scope.ts';
import type { Scope } from '../../support/scope.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { Breaches, leftOut, partly } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { lessThanAsked } from './less-than-asked.ts';
import { processorWaitMs } from './processor-wait.ts';
import { describeDescriptors, descriptorsLeftOut, leakedDescriptors, Victim } from './victim.ts';

const WHAT = 'others are served while one user’s connections have each sent thousands of calls';
const SENDERS = path.join(import.meta.dirname, 'senders.ts');
const PREFIX = 'io.cio.Credentials.';
const ARGUMENTS = ['--system', '--validate-every', 'off'];

const CROWD: Identity = { uid: 3007, gid: 3007 };
const OTHER: Identity = { uid: 3008, gid: 3008 };
const OWN = 'own';
const WRITTEN = 'written';

/** In the long form and in the short one. */
const CONNECTIONS = [500, 200] as const;
const CALLS = [4000, 2000] as const;
const ROUNDS = [300, 20] as const;

const DESCRIPTORS_BESIDES = 100;

/** Limits for 99 of 100 answers: to a read, to a write, and to a client of a LOAD socket. */
const READ_MS = 500;
const WRITE_MS = 5000;
const LOAD_MS = 500;
/** Limit from SIGTERM to the daemon's end: the last replies and the last commit may take five seconds each. */
const STOP_MS = 15_000;

/** Limit of the memory that the crowd may cost, over that before, in MiB. */
const PEAK_MEBIBYTES = 256;
/** The same afterwards; the short form does not wait until all of it is given back. */
const KEPT_MEBIBYTES = [32, 64] as const;
/** The daemon's memory has settled this far below that limit, in MiB. */
const SETTLED_MEBIBYTES = 16;

/** The length of the LOAD socket's refusal to a peer other than systemd: one byte more than systemd accepts. */
const REFUSAL_BYTES = 1024 * 1024 + 1;

/** The parameters of senders.ts. */
export interface Sending {
  readonly socketPath: string;
  readonly identity: Identity;
  readonly connections: number;
  readonly calls: number;
  readonly seed: number;
}

/** The results of senders.ts. */
export interface Report {
  readonly answers: number;
  readonly codes: readonly string[];
  readonly writes: readonly { readonly name: string; readonly acknowledged: number; readonly asked: number }[];
}

/** A process of one user with all its connections. */
class Crowd {
  readonly connected: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, connected: number) {
    this.#child = child;
    this.connected = connected;
  }

  /** Resolves when all calls have been sent. */
  static async start(scope: Scope, sending: Sending): Promise<Crowd> {
    const child = fork(SENDERS, [JSON.stringify(sending)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    atEnd(scope, () => void child.kill('SIGKILL'));
    const { connected } = await messageOf<{ readonly connected: number }>(child);
    return new Crowd(child, connected);
  }

  report(): Promise<Report> {
    const report = messageOf<Report>(this.#child);
    this.#child.send('report');
    return report;
  }

  async end(): Promise<Report> {
    const report = await this.report();
    this.#child.kill('SIGKILL');
    return report;
  }
}

function messageOf<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Message));
    child.once('exit', (code) => reject(new Error(`who sends ended with ${code}`)));
  });
}

/** Has another user read, write, start a unit and end the daemon while the crowd presses. */
export async function sentBeforehand({ choose, random, progress }: Torture): Promise<Outcome> {
  const missing = skipUnless(root);
  if (missing !== false) return leftOut(WHAT, missing);
  const possible = descriptorLimit() - DESCRIPTORS_BESIDES;
  const { count, notRun, fewer } = lessThanAsked(choose(...CONNECTIONS), possible, 'connections', 'ulimit -Hn');
  if (notRun !== undefined) return leftOut(WHAT, notRun);
  await using scope = new BenchScope();
  const breaches = new Breaches();
  const victim = await Victim.start(scope, [], undefined, ARGUMENTS);
  const { daemon } = victim;
  await victim.fill();
  const other = await RawVarlink.connect(scope, daemon.socketPath, OTHER);
  await create(other, OWN, 'mine');
  await victim.serve(100);
  const before = victim.holdings;
  victim.peakMebibytes = 0;
  const sending = {
    socketPath: daemon.socketPath,
    identity: CROWD,
    connections: count,
    calls: choose(...CALLS),
    seed: random.below(2 ** 31),
  };
  const times = { reads: new Times(daemon.pid), writes: new Times(daemon.pid), loads: new Times(daemon.pid) };
  const crowd = await Crowd.start(scope, sending);
  if (crowd.connected < count) breaches.add(`only ${crowd.connected} of ${count} could connect`);
  const rounds = choose(...ROUNDS);
  let [written, round, { answers }] = [0, 0, await crowd.report()];
  try {
    for (; round < rounds && !victim.hasEnded; round += 1) {
      await times.reads.take(() => expectOwn(other));
      await times.reads.take(async () => {
        await using life = new BenchScope();
        await expectOwn(await RawVarlink.connect(life, daemon.socketPath, OTHER));
      });
      await times.writes.take(() => create(other, WRITTEN, String(round + 1)));
      written = round + 1;
      await times.loads.take(() => expectRefusal(path.join(daemon.runtimeDirectory, 'load')));
      void victim.holdings;
      progress(round + 1, rounds);
    }
  } catch (error) {
    breaches.add(`round ${round}: ${String(error)}`);
  }
  for (const [what, limitMs] of [
    ['reads', READ_MS],
    ['writes', WRITE_MS],
    ['loads', LOAD_MS],
  ] as const) {
    const { p99Ms } = times[what];
    if (p99Ms > limitMs) breaches.add(`of the ${what} one in a hundred took ${p99Ms.toFixed(0)} ms`);
  }
  const first = await crowd.end();
  if (first.answers === answers) breaches.add('nobody pressed');
  ({ answers } = first);
  const grown = victim.peakMebibytes - before.mebibytes;
  if (grown > PEAK_MEBIBYTES) breaches.add(`the daemon grew by ${grown.toFixed(0)} MiB`);
  const keptMebibytes = choose(...KEPT_MEBIBYTES);
  const enoughMebibytes = before.mebibytes + keptMebibytes - SETTLED_MEBIBYTES;
  const after = await victim.settled({ ...before, mebibytes: enoughMebibytes });
  if (after.mebibytes - before.mebibytes > keptMebibytes) breaches.add('the daemon keeps the memory');
  const leaked = leakedDescriptors(before, after);
  if (leaked !== undefined) breaches.add(leaked);
  const second = await Crowd.start(scope, { ...sending, seed: random.below(2 ** 31) });
  const stopMs = await stop(victim, breaches);
  const last = await second.end();
  const wrong = [...first.codes, ...last.codes].filter((code) => /Internal|StorageFailed|Damaged/.test(code));
  for (const code of wrong) breaches.add(`the crowd was answered ${code}`);
  for (const lost of await lostWrites(daemon.stateDirectory, written, first, last)) breaches.add(lost);
  return {
    what: WHAT,
    count: crowd.connected,
    unit: 'connections',
    detail:
      `Get ${times.reads.text}, Create ${times.writes.text}, LOAD ${times.loads.text}, without what the daemon waited for a ` +
      `processor; ended after ${stopMs.toFixed(0)} ms; ${answers} answers to the others; memory +${grown.toFixed(0)} MiB at ` +
      `most, ${(after.mebibytes - before.mebibytes).toFixed(0)} MiB afterwards${describeDescriptors(before, after)}`,
    broken: breaches.sentences,
    partly: partly(fewer, descriptorsLeftOut(before)),
  };
}

/** The durations of another user's calls, less the time for which the daemon waited for a processor. */
class Times {
  readonly #pid: number;
  readonly #times: number[] = [];

  constructor(pid: number) {
    this.#pid = pid;
  }

  async take(work: () => Promise<void>): Promise<void> {
    const [startedMs, waitedMs] = [performance.now(), processorWaitMs(this.#pid)];
    await work();
    const othersMs = Math.max(0, processorWaitMs(this.#pid) - waitedMs);
    this.#times.push(Math.max(0, performance.now() - startedMs - othersMs));
  }

  get p99Ms(): number {
    return this.#quantile(0.99);
  }

  get text(): string {
    return `p50 ${this.#quantile(0.5).toFixed(0)} p99 ${this.p99Ms.toFixed(0)} ms`;
  }

  #quantile(part: number): number {
    return this.#times.length === 0
      ? 0
      : quantile(
          this.#times.toSorted((a, b) => a - b),
          part,
        );
  }
}

async function create(connection: RawVarlink, name: string, value: string): Promise<void> {
  const { error } = await connection.call(`${PREFIX}Create`, { credentials: [{ name, value }], replace: true });
  if (error !== undefined) throw new Error(`Create fails: ${error}`);
}

async function expectOwn(connection: RawVarlink): Promise<void> {
  const { error, parameters } = await connection.call(`${PREFIX}Get`, { name: OWN });
  if (parameters?.['value'] !== 'mine') throw new Error(`Get is answered ${error ?? 'with another value'}`);
}

function expectRefusal(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    net
      .connect(socketPath)
      .on('data', (chunk) => {
        bytes += chunk.length;
      })
      .on('error', reject)
      .on('end', () => {
        if (bytes === REFUSAL_BYTES) resolve();
        else reject(new Error(`a LOAD socket answers ${bytes} bytes`));
      });
  });
}

/** Ends the daemon as systemd does, and returns how long that took, in ms. */
async function stop({ daemon, hasEnded }: Victim, breaches: Breaches): Promise<number> {
  if (hasEnded) breaches.add(`the daemon ended by itself, and said last: ${daemon.lastWords}`);
  const { service } = daemon;
  const startedMs = performance.now();
  service.signal('SIGTERM');
  await Promise.race([service.exited, sleep(2 * STOP_MS, undefined, { ref: false })]);
  const ms = performance.now() - startedMs;
  if (ms > STOP_MS) breaches.add(`the daemon ends ${ms.toFixed(0)} ms after it was told`);
  if (service.exit?.code !== 0)
    breaches.add(`the daemon ends with ${JSON.stringify(service.exit)}: ${daemon.lastWords}`);
  return ms;
}

/** Returns the acknowledged writes that the next daemon does not have. */
async function lostWrites(stateDirectory: string, written: number, first: Report, last: Report): Promise<string[]> {
  await using scope = new BenchScope();
  const { daemon } = await Victim.start(scope, [], stateDirectory, ARGUMENTS);
  const lost: string[] = [];
  const read = async (connection: RawVarlink, name: string): Promise<number> => {
    const { parameters } = await connection.call(`${PREFIX}Get`, { name });
    return Number(parameters?.['value'] ?? 0);
  };
  const other = await RawVarlink.connect(scope, daemon.socketPath, OTHER);
  const found = await read(other, WRITTEN);
  if (found !== written) lost.push(`write ${found} is there, ${written} was acknowledged`);
  const crowd = await RawVarlink.connect(scope, daemon.socketPath, CROWD);
  for (const [index, { name, acknowledged, asked }] of last.writes.entries()) {
    const there = await read(crowd, name);
    // If nothing of the second crowd was acknowledged, the value may be the first crowd's.
    const before = first.writes[index] ?? { acknowledged: 0, asked: 0 };
    const isLast = there >= acknowledged && there <= asked;
    const isFirst = acknowledged === 0 && there >= before.acknowledged && there <= before.asked;
    if (!isLast && !isFirst) lost.push(`write ${there} of ${name} is there, ${acknowledged} was acknowledged`);
  }
  if (first.writes.every(({ acknowledged }) => acknowledged === 0)) lost.push('no write of the crowd was acknowledged');
  return lost;
}
