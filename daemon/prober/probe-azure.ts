import type { Finding, ProbeJob } from '../../src/validation.ts';
import { checkConnection } from './check-connection.ts';
import { checkStoreAccess } from './check-store-access.ts';
import type { HostServices } from './host-services.ts';
import { fetchAzureIdentity } from './identity/bearer-token.ts';
import { probeObjects } from './probe-objects.ts';
import { readAzureTarget, type AzureTarget } from './providers/azure-target.ts';
import type { AzureCredential } from './providers/azure.ts';
import { readTarget } from './read-target.ts';
import { runChain } from './run-chain.ts';
import type { Steps } from './steps.ts';

/** The chain of checks for a set with an Azure storage account. */
export async function* probeAzure(
  job: ProbeJob,
  steps: Steps,
  hostServices: HostServices,
): AsyncGenerator<Finding, void> {
  const target = yield* readTarget(() => readAzureTarget(job, hostServices));
  if (target === undefined) return;
  yield* runChain(job, steps, async function* (maker, wires) {
    // The library is loaded while the prober waits for the network.
    const library = import('./providers/azure.ts');
    library.catch(() => undefined);
    const wire = yield* withUnknownAccount(job, target, checkConnection(target.endpoint, steps, hostServices.lookup));
    if (wire === undefined) return;
    wires.push(wire);
    const credential = yield* obtainCredential(target, hostServices, steps);
    if (credential === undefined) return;
    const store = new (await library).AzureStore(target, wire, credential);
    const accessible = yield* checkStoreAccess(store, wire, maker, steps);
    if (accessible !== undefined) yield* probeObjects(job, store, accessible.canList, steps);
  });
}

async function* obtainCredential(
  { key }: AzureTarget,
  { metadata }: HostServices,
  steps: Steps,
): AsyncGenerator<Finding, AzureCredential | undefined> {
  if (key !== undefined) return { key };
  const fetched = yield* steps.run('key', (signal) => fetchAzureIdentity(metadata, signal));
  return fetched === undefined ? undefined : { token: fetched.value };
}

/**
 * Reports an unknown host as an unknown account: the name of the host contains that of the account, so an account that
 * does not exist has no address.
 */
async function* withUnknownAccount<Value>(
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
