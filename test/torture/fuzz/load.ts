import path from 'node:path';
import { BenchScope } from '../../bench/bench-scope.ts';
import { runSuccessfully } from '../../support/process.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { describeDescriptors, descriptorsLeftOut, leakedDescriptors } from '../pressure/victim.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { startFuzzed } from './daemon.ts';

const FUZZER = path.join(import.meta.dirname, 'load-fuzzer.py');

const WHAT = 'on both LOAD sockets, peers other than systemd get a whole refusal or a reset, never an empty reply';

/** The fuzzer's output. */
interface Seen {
  readonly refused: number;
  readonly left: number;
  readonly wrong: readonly string[];
}

/**
 * The length of a refusal: one byte more than systemd accepts for a credential, and for an encrypted one
 * (`CREDENTIAL_SIZE_MAX` and `CREDENTIAL_ENCRYPTED_SIZE_MAX` in systemd's creds-util.h). Not taken from the daemon,
 * whose constants may be wrong.
 */
const PLAIN_REFUSAL_BYTES = 1024 * 1024 + 1;
const SEALED_REFUSAL_BYTES = 1024 * 1024 + 128 * 1024 + 1;

/** The number of connections of one run of the fuzzer. */
const RUN = 250;
const RUN_TIMEOUT_MS = 300_000;
const SEEDS = 2 ** 31;

/** Limit of the daemon's growth, in MiB. */
const KEPT_MEBIBYTES = 32;

/** The part of answers that must be whole. Input that the daemon does not read to its end may reset the connection. */
const WHOLE_AT_LEAST = 0.5;

/** Tests the LOAD sockets with peers other than systemd: each must get a refusal, and never an empty reply. */
export async function fuzzLoad({ random, choose, progress }: Torture): Promise<Outcome> {
  const missing = skipUnless(command('python3'));
  if (missing !== false) return leftOut(WHAT, missing);
  await using scope = new BenchScope();
  const victim = await startFuzzed(scope);
  // These sockets come after that for clients.
  await victim.daemon.service.printed('listening');
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
  if (/error:|internal error/.test(log))
    breaches.add(`its log has: ${/^.*(?:error:|internal error).*$/m.exec(log)?.[0] ?? ''}`);
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
      `${refused} refused, ${left} disconnected or were reset; memory ${before.mebibytes.toFixed(0)} → ` +
      `${after.mebibytes.toFixed(0)} MiB${describeDescriptors(before, after)}`,
    broken: breaches.sentences,
    partly: descriptorsLeftOut(before),
  };
}
