import type { Health, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';
import { REPOSITORY_FIELDS } from '../../../src/providers/common-fields.ts';
import { titleOfCheck } from '../check-title.ts';
import { formatAge } from '../time.ts';

/** How a set is, for the eye: `ready, proved 2 hours ago`, or what it lacks, or what failed. */
export function formatSetState({ ready, missing, health }: CredentialSet, nowMs: number): string {
  const tried = formatHealth(health, nowMs);
  if (!ready) {
    const lacks = `lacks ${missing.join(', ')}`;
    // Where there are no keys yet, there is nothing that could have been tried; a set for a bucket only, as Portworx's are, can.
    return health.state === 'unproved' && !missing.every((field) => REPOSITORY_FIELDS.includes(field))
      ? lacks
      : `${lacks}; ${tried}`;
  }
  return health.state === 'failed' ? tried : `ready, ${tried}`;
}

/** What is known of whether a set works: `failed 5 minutes ago: keys (access denied); last good 3 hours ago`. */
export function formatHealth({ state, checked, good, finding }: Health, nowMs: number): string {
  const lastGood = typeof good === 'number' ? `; last good ${formatAge(good, nowMs)}` : '';
  const when = typeof checked === 'number' ? ` ${formatAge(checked, nowMs)}` : '';
  switch (state) {
    case 'passed':
      return `proved${when}`;
    case 'unproved':
      return `unproved${lastGood}`;
    case 'failed': {
      // The reason in the words of the interface, which are short; `validate` has sentences.
      const reason = finding?.reason ? ` (${finding.reason.replaceAll('_', ' ')})` : '';
      const what = finding ? `: ${titleOfCheck(finding.check)}${reason}` : '';
      return `failed${when}${what}${lastGood}`;
    }
  }
}
