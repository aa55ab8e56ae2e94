import { fieldOf } from '../../src/providers/registry.ts';
import { usesIdentity } from '../../src/sets.ts';
import type { Finding, ProbeJob } from '../../src/validation.ts';
import { isGiven } from './providers/set-endpoint.ts';

/**
 * Changes findings to name the fields that this set uses: it may have a bucket instead of a repository, and the
 * machine's identity instead of keys.
 */
export async function* withFieldsOfSet(
  { values }: ProbeJob,
  findings: AsyncGenerator<Finding, void>,
): AsyncGenerator<Finding, void> {
  for await (const finding of findings) {
    const { check, reason, field } = finding;
    // A mistake in the set itself already names the right field.
    if (check === 'shape' || reason === 'missing_field') yield finding;
    else if (usesIdentity(values['use_iam']) && isOfKeys(finding)) yield { ...finding, field: 'use_iam' };
    else if (field === 'backup_repo' && !isGiven(values['backup_repo'])) yield { ...finding, field: 'bucket' };
    else yield finding;
  }
}

function isOfKeys({ reason, field }: Finding): boolean {
  if (field === undefined) return reason === 'access_denied';
  return fieldOf(field, undefined)?.isReplacedByIdentity === true;
}
