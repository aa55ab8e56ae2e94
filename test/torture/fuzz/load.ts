import path from 'node:path';
import { BenchScope } from '../../bench/bench-scope.ts';
import { runSuccessfully } from '../../support/process.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { describeDescriptors, descriptorsLeftOut, leakedDescriptors } from '../pressure/victim.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { startFuzzed } from './daemon.ts';

const FUZZER = path.join(import.meta.dirname, 'load-fuzzer.py');

const WHAT =
  'who is not systemd gets a whole refusal on both LOAD sockets, or a broken connection; never an end without one';

/** What the fuzzer prints. */
interface Seen {
  readonly refused: number;
  readonly left: number;
  readonly wrong: readonly string[];
}

/**
 * How long a refusal is: a byte more than systemd takes of a credential, and of an encrypted one (`CREDENTIAL_SIZE_MAX`
 * and `CREDENTIAL_ENCRYPTED_SIZE_MAX` of its creds-util.h). Not as the daemon says, which may be wrong.
 */
const PLAIN_REFUSAL_BYTES = 1024 * 1024 + 1;
const SEALED_REFUSAL_BYTES = 1024 * 1024 + 128 * 1024 + 1;

/** Connections of one run of the fuzzer. */
const RUN = 250;
const RUN_TIMEOUT_MS = 300_000;
const SEEDS = 2 ** 31;

/** Memory that the daemon may hold afterwards, over before. */
const KEPT_MEBIBYTES = 32;

/** What one sends in a stream that the daemon does not read to the end may break it; of most, the answer is whole. */
const WHOLE_AT_LEAST = 0.5;

/** Peers that are not systemd, on the sockets of systemd: a refusal each, and never an empty answer. */
export async function fuzzLoad({ random, choose, progress }: Torture): Promise<Outcome> {
  const missing = skipUnless(command('python3'));
  if (missing !== false) return leftOut(WHAT, missing);
  await using scope = new BenchScope();
  const victim = await startFuzzed(scope);
  const sockets = [
    ['load', PLAIN_REFUSAL_BYTES],
    ['load-encrypted', SEALED_REFUSAL_BYTES],
  ] as const;
  const breaches = new Breaches();
  const all = choose(20_000, 1000);
  let [refused, left, done] = [0, 0, 0];
  const before = victim.holdings;
  while (done < all && breaches.sentences.length === 0) {
    for (const [name, bytes] of sockets) {
      const socketPath = path.join(victim.daemon.runtimeDirectory, name);
      const command = ['/usr/bin/python3', FUZZER, socketPath, random.below(SEEDS), RUN, bytes].map(String);
      const seen = JSON.parse(await runSuccessfully(command, { timeoutMs: RUN_TIMEOUT_MS })) as Seen;
      for (const sentence of seen.wrong) breaches.add(`${name}: ${sentence}`);
      refused += seen.refused;
      left += seen.left;
      done += RUN;
      progress(Math.min(done, all), all);
    }
  }
  const after = await victim.settled({ ...before, mebibytes: before.mebibytes + KEPT_MEBIBYTES / 2 });
  const { log, service } = victim.daemon;
  if (service.exit !== undefined) breaches.add(`the daemon ended: ${log.slice(-1000)}`);
  if (/error:|defect/.test(log)) breaches.add(`its log has: ${/^.*(?:error:|defect).*$/m.exec(log)?.[0] ?? ''}`);
  if (log.includes('ECHO-CANARY')) breaches.add('its log repeats what was sent');
  if (refused < done * WHOLE_AT_LEAST) breaches.add(`only ${refused} refusals came whole`);
  if (after.mebibytes - before.mebibytes > KEPT_MEBIBYTES) breaches.add(`it keeps ${after.mebibytes.toFixed(0)} MiB`);
  const leaked = leakedDescriptors(before, after);
  if (leaked !== undefined) breaches.add(leaked);
  return {
    what: WHAT,
    count: done,
    unit: 'connections',
    detail:
      `${refused} refused, ${left} left or broke off; memory ${before.mebibytes.toFixed(0)} → ` +
      `${after.mebibytes.toFixed(0)} MiB${describeDescriptors(before, after)}`,
    broken: breaches.sentences,
    partly: descriptorsLeftOut(before),
  };
}
