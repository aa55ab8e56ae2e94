import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { anyMessage, ECHO_CANARY } from '../../daemon/socket/any-message.ts';
import { exchange } from '../../daemon/socket/exchange.ts';
import type { Identity } from '../../support/identity.ts';
import { root } from '../../support/requirements.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import type { Scope } from '../../support/scope.ts';
import { describeDescriptors, descriptorsLeftOut, leakedDescriptors, Victim } from '../pressure/victim.ts';
import { Breaches, partly } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';

/** The number of messages sent together on one connection. */
const BATCH = 20;

/** The number of messages generated at a time; one by one, generating would take longer than sending. */
const SAMPLE = 200;

/** The number of concurrent connections. */
const CONNECTIONS = 4;

/** Limit of the daemon's growth in MiB, over its memory after the warm-up. */
const KEPT_MEBIBYTES = 32;

/** The part of all messages that are the warm-up. */
const WARM_UP = 0.1;

const SEEDS = 2 ** 31;

/** Starts a daemon for all users; where possible, without a network that it could be made to reach. */
export function startFuzzed(scope: Scope): Promise<Victim> {
  const isIsolated = spawnSync('unshare', ['--net', 'true']).status === 0;
  const isolated = isIsolated ? ['unshare', '--net', '--'] : [];
  return Victim.start(scope, isolated, undefined, ['--system', '--validate-every', 'off']);
}

const OTHERS: readonly Identity[] = [
  { uid: 3001, gid: 3001 },
  { uid: 3002, gid: 3002 },
];

/**
 * Sends messages made from the interface, many of them broken. Each must get exactly its replies, and the daemon must
 * not change.
 */
export async function fuzzDaemon({ random, choose, progress }: Torture): Promise<Outcome> {
  await using scope = new BenchScope();
  const victim = await startFuzzed(scope);
  const breaches = new Breaches();
  const all = choose(1_000_000, 20_000);
  let sent = 0;
  let answered = 0;
  let before = victim.holdings;
  const missing = root();
  const oneUserOnly = missing === undefined ? undefined : `messages of one user only; other users need ${missing}`;
  const messages = generate(() => random.below(SEEDS));
  const talk = async (): Promise<void> => {
    while (sent < all && breaches.sentences.length === 0) {
      const batch = Array.from({ length: BATCH }, () => messages.next().value);
      sent += batch.length;
      const person = oneUserOnly !== undefined || random.oneIn(OTHERS.length + 1) ? undefined : random.pick(OTHERS);
      await using own = new BenchScope();
      try {
        const replied = await exchange(await RawVarlink.connect(own, victim.daemon.socketPath, person), batch);
        answered += replied;
      } catch (error) {
        const bytes = Buffer.concat(batch).toString('base64');
        breaches.add(`${String(error)}, uid ${person?.uid ?? 'own'}, after ${sent} messages: ${bytes}`);
      }
      if (sent === Math.ceil((all * WARM_UP) / BATCH) * BATCH) before = victim.holdings;
      if (sent % SAMPLE === 0) progress(Math.min(sent, all), all);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, talk));
  const after = await victim.settled({ ...before, mebibytes: before.mebibytes + KEPT_MEBIBYTES / 2 });
  const { log, service } = victim.daemon;
  if (service.exit !== undefined) breaches.add(`the daemon ended: ${log.slice(-1000)}`);
  const defect = /^.*(?:error:|internal error).*$/m.exec(log)?.[0];
  if (defect !== undefined) breaches.add(`its log has: ${defect}`);
  if (log.includes(ECHO_CANARY)) breaches.add('its log repeats what was sent');
  if (after.mebibytes - before.mebibytes > KEPT_MEBIBYTES) breaches.add(`it keeps ${after.mebibytes.toFixed(0)} MiB`);
  const leaked = leakedDescriptors(before, after);
  if (leaked !== undefined) breaches.add(leaked);
  if (answered < sent / 3) breaches.add(`only ${answered} messages were answered`);
  return {
    what: 'a message of any kind gets exactly its replies, valid by the interface, and is repeated nowhere',
    count: sent,
    unit: 'messages',
    detail:
      `${answered} answered; memory ${before.mebibytes.toFixed(0)} → ${after.mebibytes.toFixed(0)} MiB, at most ` +
      `${victim.peakMebibytes.toFixed(0)}${describeDescriptors(before, after)}`,
    broken: breaches.sentences,
    partly: partly(oneUserOnly, descriptorsLeftOut(before)),
  };
}

/** Generates messages without end. */
function* generate(seed: () => number): Generator<Buffer, never> {
  for (;;) yield* fc.sample(anyMessage, { numRuns: SAMPLE, seed: seed() });
}
