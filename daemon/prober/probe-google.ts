import type { Finding, ProbeJob } from '../../src/validation.ts';
import { asFailureOf } from './as-failure-of.ts';
import { attempt } from './attempt.ts';
import { clockFinding } from './clock.ts';
import { enterStore } from './enter-store.ts';
import { findingOf } from './failure.ts';
import { fetchGoogleIdentity } from './identity/bearer-token.ts';
import type { Wire } from './network/wire.ts';
import { probeObjects } from './probe-objects.ts';
import { GoogleStore } from './providers/google.ts';
import { readGoogleTarget, type GoogleAccount } from './providers/google-target.ts';
import { fetchToken } from './providers/google-token.ts';
import { reach } from './reach.ts';
import { readTarget } from './read-target.ts';
import { runChain } from './run-chain.ts';
import type { Steps } from './steps.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * The chain of checks for a set of Google Cloud Storage. It connects to the storage server, then to the token server.
 */
export async function* probeGoogle(
  job: ProbeJob,
  steps: Steps,
  surroundings: Surroundings,
): AsyncGenerator<Finding, void> {
  const target = yield* readTarget(() => readGoogleTarget(job, surroundings));
  if (target === undefined) return;
  yield* runChain(job, steps, async function* (maker, wires) {
    const wire = yield* reach(target.endpoint, steps, surroundings.lookup);
    if (wire === undefined) return;
    wires.push(wire);
    const { account } = target;
    const token =
      account === undefined
        ? (yield* steps.run('key', (signal) => fetchGoogleIdentity(surroundings.metadata, signal)))?.value
        : yield* takeToken(account, wires, steps, surroundings);
    if (token === undefined) return;
    const store = new GoogleStore(target, wire, token);
    // With a service account, the clocks were compared at the token server, where a wrong clock is refused. Requests
    // with a token do not depend on the clock.
    const clocked = account === undefined ? wire : undefined;
    const entered = yield* enterStore(store, clocked, maker, steps);
    if (entered !== undefined) yield* probeObjects(job, store, entered.canList, steps);
  });
}

/** Fetches a token. Reports the key only if it is refused: whether it is valid for the bucket is found out there. */
async function* takeToken(
  account: GoogleAccount,
  wires: Wire[],
  steps: Steps,
  { lookup }: Surroundings,
): AsyncGenerator<Finding, string | undefined> {
  const wire = yield* asFailureOf('key', reach(account.tokenEndpoint, steps, lookup));
  if (wire === undefined) return undefined;
  wires.push(wire);
  const { value: token, failure } = await attempt(() => fetchToken(account, wire, steps.signal));
  const clock = clockFinding(wire, failure);
  if (clock !== undefined) yield clock;
  if (failure !== undefined && clock?.state !== 'failed') {
    yield findingOf('key', 'failed', failure.reason, failure.detail);
  }
  return token;
}
