import type { Health, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';
import { REPOSITORY_FIELDS } from '../../../src/providers/common-fields.ts';
import { titleOfCheck } from '../check-title.ts';
import { formatAge } from '../time.ts';

/** Formats the state of a set: `ready, proved 2 hours ago`, or what the set lacks, or what failed. */
export function formatSetState({ ready, missing, health }: CredentialSet, nowMs: number): string {
  const tried = formatHealth(health, nowMs);
  if (!ready) {
    const lacks = `lacks ${missing.join(', ')}`;
    // A set without keys cannot have been tried out, so "unproved" is left away. A set that lacks only the repository's
    // fields can: it is for a bucket alone, like those of Portworx.
    return health.state === 'unproved' && !missing.every((field) => REPOSITORY_FIELDS.includes(field))
      ? lacks
      : `${lacks}; ${tried}`;
  }
  return health.state === 'failed' ? tried : `ready, ${tried}`;
}

/** Formats the last validation of a set: `failed 5 minutes ago: keys (access denied); last good 3 hours ago`. */
export function formatHealth({ state, checked, good, finding }: Health, nowMs: number): string {
  const lastGood = typeof good === 'number' ? `; last good ${formatAge(good, nowMs)}` : '';
  const when = typeof checked === 'number' ? ` ${formatAge(checked, nowMs)}` : '';
  switch (state) {
    case 'passed':
      return `proved${when}`;
    case 'unproved':
      return `unproved${lastGood}`;
    case 'failed': {
      // The reason by its short name from the interface; `validate` prints sentences.
      const reason = finding?.reason ? ` (${finding.reason.replaceAll('_', ' ')})` : '';
      const what = finding ? `: ${titleOfCheck(finding.check)}${reason}` : '';
      return `failed${when}${what}${lastGood}`;
    }
  }
}
