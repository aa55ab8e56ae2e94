import { performance } from 'node:perf_hooks';
import { ConnectionError, connect, CredentialError } from '../../../client/index.ts';
import type { CredentialClient, MethodName } from '../../../client/index.ts';
import { compileInterface } from '../../../src/protocol/check.ts';
import { parseInterface } from '../../../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../../../src/protocol/interface.generated.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { BadServer } from './bad-server.ts';
import { replySource } from './replies.ts';

const { methods: CHECKS } = compileInterface(parseInterface(INTERFACE_DESCRIPTION));
const METHODS = [...CHECKS.keys()] as MethodName[];

const TIMEOUT_MS = 300;
/**
 * Limit for a call, in ms. Each part of a call has a time-out of its own, so more than this is a hang, even on a busy
 * machine.
 */
const TIME_MAX_MS = 5000;
const STREAMED_MAX = 20;
/** The number of calls made before the first is answered. */
const PIPELINED = 3;
const CLIENTS = 4;
/** Limit of this process's growth in MiB; it holds what both sides send. */
const GROWTH_MEBIBYTES = 300;
const MEBIBYTE = 1024 * 1024;

/**
 * Tests the client library against a hostile server: each call must end in time, with a value or with one of the
 * client's errors.
 */
export async function fuzzClient({ random, choose, progress }: Torture): Promise<Outcome> {
  await using scope = new BenchScope();
  const breaches = new Breaches();
  const server = await BadServer.listen(scope, random, replySource(random));
  server.lingerMs = 2 * TIMEOUT_MS;
  const all = choose(100_000, 3000);
  const seen = new Map<string, number>();
  let [done, slowestMs, before, peak] = [0, 0, 0, 0];
  const note = async (method: MethodName, call: Promise<unknown>): Promise<void> => {
    const startedMs = performance.now();
    let end = 'a value';
    try {
      await call;
    } catch (error) {
      end = error instanceof CredentialError || error instanceof ConnectionError ? error.name : 'a defect';
      if (end === 'a defect') breaches.add(`${method} fails by ${String(error)}`);
    }
    seen.set(end, (seen.get(end) ?? 0) + 1);
    const ms = performance.now() - startedMs;
    slowestMs = Math.max(slowestMs, ms);
    if (ms > TIME_MAX_MS) breaches.add(`${method} took ${ms.toFixed(0)} ms`);
  };
  const work = async (): Promise<void> => {
    while (done < all) {
      done += PIPELINED;
      const client = await connect({ socket: server.path, timeoutMs: TIMEOUT_MS });
      const calls = Array.from({ length: PIPELINED }, () => random.pick(METHODS));
      await Promise.all(calls.map((method) => note(method, use(client, method, random.oneIn(2)))));
      client.close();
      const now = process.memoryUsage().rss;
      if (done <= all / 10) before = Math.max(before, now);
      peak = Math.max(peak, now);
      if (done % (PIPELINED * 50) === 0) progress(Math.min(done, all), all);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, work));
  const growth = (peak - before) / MEBIBYTE;
  if (growth > GROWTH_MEBIBYTES) breaches.add(`the process grew by ${growth.toFixed(0)} MiB`);
  const ends = [...seen].map(([end, count]) => `${count} ${end}`);
  if (seen.size < 3) breaches.add(`calls ended in ${ends.join(', ')} only`);
  return {
    what: 'whatever a server answers, a call of the client ends with a valid value or one of its own errors',
    count: done,
    unit: 'calls',
    detail: `${ends.join(', ')}; ${server.manners.size} kinds of answers; the slowest took ${slowestMs.toFixed(0)} ms`,
    broken: breaches.sentences,
  };
}

/** Makes a call, and checks the replies against the interface. */
async function use(client: CredentialClient, method: MethodName, isStream: boolean): Promise<void> {
  // The parameters do not matter to this server.
  const parameters = {} as never;
  const check = (value: unknown): void => {
    const wrong = CHECKS.get(method)?.checkReply(value);
    if (wrong !== undefined) throw new TypeError(`a value that the interface does not allow: ${wrong}`);
  };
  if (!isStream) {
    check(await client.call(method, parameters));
    return;
  }
  let replies = 0;
  for await (const value of client.stream(method, parameters)) {
    check(value);
    replies += 1;
    if (replies === STREAMED_MAX) return;
  }
}
