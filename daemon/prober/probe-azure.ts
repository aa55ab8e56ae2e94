import type { Finding, ProbeJob } from '../../src/validation.ts';
import { enterStore } from './enter-store.ts';
import { fetchAzureIdentity } from './identity/bearer-token.ts';
import { probeObjects } from './probe-objects.ts';
import type { AzureCredential } from './providers/azure.ts';
import { readAzureTarget, type AzureTarget } from './providers/azure-target.ts';
import { reach } from './reach.ts';
import { readTarget } from './read-target.ts';
import { runChain } from './run-chain.ts';
import type { Steps } from './steps.ts';
import type { Surroundings } from './surroundings.ts';

/** The chain of checks for a set with an Azure storage account. */
export async function* probeAzure(
  job: ProbeJob,
  steps: Steps,
  surroundings: Surroundings,
): AsyncGenerator<Finding, void> {
  const target = yield* readTarget(() => readAzureTarget(job, surroundings));
  if (target === undefined) return;
  yield* runChain(job, steps, async function* (maker, wires) {
    // The library is loaded while the prober waits for the network.
    const library = import('./providers/azure.ts');
    library.catch(() => undefined);
    const wire = yield* named(job, target, reach(target.endpoint, steps, surroundings.lookup));
    if (wire === undefined) return;
    wires.push(wire);
    const credential = yield* takeCredential(target, surroundings, steps);
    if (credential === undefined) return;
    const store = new (await library).AzureStore(target, wire, credential);
    const entered = yield* enterStore(store, wire, maker, steps);
    if (entered !== undefined) yield* probeObjects(job, store, entered.canList, steps);
  });
}

async function* takeCredential(
  { key }: AzureTarget,
  { metadata }: Surroundings,
  steps: Steps,
): AsyncGenerator<Finding, AzureCredential | undefined> {
  if (key !== undefined) return { key };
  const told = yield* steps.run('key', (signal) => fetchAzureIdentity(metadata, signal));
  return told === undefined ? undefined : { token: told.value };
}

/**
 * Reports an unknown host as an unknown account: the name of the host contains that of the account, so an account that
 * does not exist has no address.
 */
async function* named<Value>(
  { values }: ProbeJob,
  { account, endpoint }: AzureTarget,
  findings: AsyncGenerator<Finding, Value>,
): AsyncGenerator<Finding, Value> {
  const isPublic = values['endpoint_suffix'] === undefined && endpoint.proxy === undefined;
  for (;;) {
    const next = await findings.next();
    if (next.done === true) return next.value;
    const isUnknown = isPublic && next.value.reason === 'name_not_found';
    yield isUnknown ? { ...next.value, reason: 'no_such_account', subject: account } : next.value;
  }
}
