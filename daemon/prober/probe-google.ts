import type { Finding, ProbeJob } from '../../src/validation.ts';
import { asFailureOf } from './as-failure-of.ts';
import { clockFinding } from './clock.ts';
import { enterStore } from './enter-store.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import type { Lookup } from './network/resolve.ts';
import type { Wire } from './network/wire.ts';
import { probeObjects } from './probe-objects.ts';
import { GoogleStore } from './providers/google.ts';
import { readGoogleTarget, type GoogleTarget } from './providers/google-target.ts';
import { fetchToken } from './providers/google-token.ts';
import { reach } from './reach.ts';
import { ofServerField } from './server-field.ts';
import type { Steps } from './steps.ts';

/** The chain of a set that names a bucket of Google's: the way to the bucket, and then to the server of tokens. */
export async function* probeGoogle(job: ProbeJob, steps: Steps, lookup: Lookup): AsyncGenerator<Finding, void> {
  const target = readTarget(job);
  if (target instanceof ProbeFailure) {
    yield findingOf('shape', 'failed', target.reason, target.detail);
    return;
  }
  const wires: Wire[] = [];
  try {
    const field = job.values['endpoint'] === undefined ? undefined : 'endpoint';
    const wire = yield* ofServerField(field, reach(target.endpoint, steps, lookup));
    if (wire === undefined) return;
    wires.push(wire);
    const toTokens = ofServerField('service_account', reach(target.tokenEndpoint, steps, lookup));
    const tokenWire = yield* asFailureOf('key', toTokens);
    if (tokenWire === undefined) return;
    wires.push(tokenWire);
    const token = yield* takeToken(target, tokenWire, steps);
    if (token === undefined) return;
    const store = new GoogleStore(target, wire, token);
    // The clocks were compared where a wrong one is in the way: a token knows no time.
    const entered = yield* enterStore(store, undefined, steps);
    if (entered !== undefined) yield* probeObjects(job, store, entered.canList, steps);
  } finally {
    for (const wire of wires) wire.close();
  }
}

/** Says of the key only that it is refused: whether it is good for the bucket, comes out there. */
async function* takeToken(
  { account, tokenEndpoint }: GoogleTarget,
  wire: Wire,
  { signal }: Steps,
): AsyncGenerator<Finding, string | undefined> {
  let token: string | undefined;
  let failure: ProbeFailure | undefined;
  try {
    token = await fetchToken(account, tokenEndpoint, wire, signal);
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    failure = error;
  }
  const clock = clockFinding(wire, failure);
  if (clock !== undefined) yield clock;
  if (failure !== undefined && clock?.state !== 'failed') {
    yield findingOf('key', 'failed', failure.reason, failure.detail);
  }
  return token;
}

function readTarget(job: ProbeJob): GoogleTarget | ProbeFailure {
  try {
    return readGoogleTarget(job);
  } catch (error) {
    if (error instanceof ProbeFailure) return error;
    throw error;
  }
}
