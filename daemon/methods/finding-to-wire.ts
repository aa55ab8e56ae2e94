import type { Finding as WireFinding } from '../../src/protocol/interface.generated.ts';
import { memberName } from '../../src/sets.ts';
import type { Finding } from '../../src/validation.ts';

/** Returns the wire form of a finding, which has the name of the credential that it is about. */
export function findingToWire(set: string, finding: Finding): WireFinding {
  return finding.field === undefined ? finding : { ...finding, name: memberName(set, finding.field) };
}
