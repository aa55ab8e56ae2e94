import type { Finding as WireFinding } from '../../src/protocol/interface.generated.ts';
import { memberName } from '../../src/sets.ts';
import type { Finding } from '../../src/validation.ts';

/** A finding of a set as it is told to callers: with the name of the credential that is meant. */
export function findingToWire(set: string, finding: Finding): WireFinding {
  return finding.field === undefined ? finding : { ...finding, name: memberName(set, finding.field) };
}
