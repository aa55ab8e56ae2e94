import { S3_PROVIDER_IDS } from '../../src/providers/registry.ts';
import { CHECKS, type CheckId, type Finding, type ProbeJob } from '../../src/validation.ts';
import { findingOf } from './failure.ts';
import { hostServicesOf, type HostServices } from './host-services.ts';
import { TOTAL_MS } from './limits.ts';
import { probeAzure } from './probe-azure.ts';
import { probeGoogle } from './probe-google.ts';
import { probeS3 } from './probe-s3.ts';
import { Steps } from './steps.ts';
import { withFieldsOfSet } from './with-fields-of-set.ts';

/** Checks that the prober reports for every job. `shape` is not one: the values are checked before there is a job. */
const PROBED_CHECKS: readonly CheckId[] = CHECKS.filter((check) => check !== 'shape');

/**
 * Validates a set, from the name of its server to the key of its repository, and yields each finding as soon as it is
 * known: one for each check, with the checks that were not tried at the end. Only `delete` comes a second time if the
 * probe object could not be deleted, and `bucket` if a bucket that was created could not be removed. An early return or
 * `signal` ends the validation, which first removes what it created.
 */
export async function* probe(
  job: ProbeJob,
  signal: AbortSignal,
  hostServices: HostServices = hostServicesOf(),
): AsyncGenerator<Finding, void> {
  const reported = new Set<CheckId>();
  let failedCheck: CheckId | undefined;
  const steps = new Steps(signal, AbortSignal.timeout(TOTAL_MS));
  try {
    for await (const finding of withFieldsOfSet(job, chainOf(job, steps, hostServices))) {
      reported.add(finding.check);
      if (finding.state === 'failed') failedCheck ??= finding.check;
      yield finding;
    }
  } catch (error) {
    if (!steps.signal.aborted || error !== steps.signal.reason) throw error;
    if (!signal.aborted) {
      // The clocks are compared by the answer to the first request, which is that of the check `key`.
      failedCheck ??= PROBED_CHECKS.find((check) => check !== 'clock' && !reported.has(check)) ?? 'password';
      reported.add(failedCheck);
      yield findingOf(failedCheck, 'failed', 'timed_out');
    }
  }
  const reason = signal.aborted ? 'cancelled' : 'earlier_failure';
  const detail = signal.aborted || failedCheck === undefined ? {} : { subject: failedCheck };
  for (const check of PROBED_CHECKS) {
    if (!reported.has(check)) yield findingOf(check, 'skipped', reason, detail);
  }
}

async function* chainOf(job: ProbeJob, steps: Steps, hostServices: HostServices): AsyncGenerator<Finding, void> {
  if (S3_PROVIDER_IDS.has(job.provider)) yield* probeS3(job, steps, hostServices);
  else if (job.provider === 'azure') yield* probeAzure(job, steps, hostServices);
  else if (job.provider === 'google') yield* probeGoogle(job, steps, hostServices);
  else yield findingOf('shape', 'failed', 'not_supported', { field: 'provider', subject: job.provider });
}
