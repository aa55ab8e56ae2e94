import type { Finding, ProbeJob } from '../../src/validation.ts';
import { enterStore } from './enter-store.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import type { Lookup } from './network/resolve.ts';
import { probeObjects } from './probe-objects.ts';
import { readAzureTarget, type AzureTarget } from './providers/azure-target.ts';
import { reach } from './reach.ts';
import { ofServerField } from './server-field.ts';
import type { Steps } from './steps.ts';

/** The chain of a set that names a container of Azure's. */
export async function* probeAzure(job: ProbeJob, steps: Steps, lookup: Lookup): AsyncGenerator<Finding, void> {
  const target = readTarget(job);
  if (target instanceof ProbeFailure) {
    yield findingOf('shape', 'failed', target.reason, target.detail);
    return;
  }
  // Loaded while the network is waited for.
  const library = import('./providers/azure.ts');
  library.catch(() => undefined);
  const wire = yield* named(job, target, reach(target.endpoint, steps, lookup));
  if (wire === undefined) return;
  try {
    const store = new (await library).AzureStore(target, wire);
    const entered = yield* enterStore(store, wire, steps);
    if (entered !== undefined) yield* probeObjects(job, store, entered.canList, steps);
  } finally {
    wire.close();
  }
}

/** The host is made of the account's name, so that an account that there is not has no address. */
async function* named<Value>(
  { values }: ProbeJob,
  { account }: AzureTarget,
  findings: AsyncGenerator<Finding, Value>,
): AsyncGenerator<Finding, Value> {
  const isPublic = values['endpoint_suffix'] === undefined;
  const renamed = ofServerField(isPublic ? 'account_name' : 'endpoint_suffix', findings);
  for (;;) {
    const next = await renamed.next();
    if (next.done === true) return next.value;
    const isUnknown = isPublic && next.value.reason === 'name_not_found';
    yield isUnknown ? { ...next.value, reason: 'no_such_account', subject: account } : next.value;
  }
}

function readTarget(job: ProbeJob): AzureTarget | ProbeFailure {
  try {
    return readAzureTarget(job);
  } catch (error) {
    if (error instanceof ProbeFailure) return error;
    throw error;
  }
}
