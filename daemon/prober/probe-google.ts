import type { Finding, ProbeJob } from '../../src/validation.ts';
import { attempt } from './attempt.ts';
import { checkConnection } from './check-connection.ts';
import { checkStoreAccess } from './check-store-access.ts';
import { clockFinding } from './clock.ts';
import { findingOf } from './failure.ts';
import type { HostServices } from './host-services.ts';
import { fetchGoogleIdentity } from './identity/bearer-token.ts';
import type { Wire } from './network/wire.ts';
import { onlyFailuresAs } from './only-failures-as.ts';
import { probeObjects } from './probe-objects.ts';
import { readGoogleTarget, type GoogleAccount } from './providers/google-target.ts';
import { fetchToken } from './providers/google-token.ts';
import { GoogleStore } from './providers/google.ts';
import { readTarget } from './read-target.ts';
import { runChain } from './run-chain.ts';
import type { Steps } from './steps.ts';

/**
 * The chain of checks for a set of Google Cloud Storage. It connects to the storage server, then to the token server.
 */
export async function* probeGoogle(
  job: ProbeJob,
  steps: Steps,
  hostServices: HostServices,
): AsyncGenerator<Finding, void> {
  const target = yield* readTarget(() => readGoogleTarget(job, hostServices));
  if (target === undefined) return;
  yield* runChain(job, steps, async function* (maker, wires) {
    const wire = yield* checkConnection(target.endpoint, steps, hostServices.lookup);
    if (wire === undefined) return;
    wires.push(wire);
    const { account } = target;
    const token =
      account === undefined
        ? (yield* steps.run('key', (signal) => fetchGoogleIdentity(hostServices.metadata, signal)))?.value
        : yield* obtainToken(account, wires, steps, hostServices);
    if (token === undefined) return;
    const store = new GoogleStore(target, wire, token);
    // With a service account, the clocks were compared at the token server, where a wrong clock is refused. Requests
    // with a token do not depend on the clock.
    const clocked = account === undefined ? wire : undefined;
    const accessible = yield* checkStoreAccess(store, clocked, maker, steps);
    if (accessible !== undefined) yield* probeObjects(job, store, accessible.canList, steps);
  });
}

/** Fetches a token. Reports the key only if it is refused: whether it is valid for the bucket is found out there. */
async function* obtainToken(
  account: GoogleAccount,
  wires: Wire[],
  steps: Steps,
  { lookup }: HostServices,
): AsyncGenerator<Finding, string | undefined> {
  const wire = yield* onlyFailuresAs('key', checkConnection(account.tokenEndpoint, steps, lookup));
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
