import type { Health } from '../../src/protocol/interface.generated.ts';
import type { HealthRecord } from '../vault/records.ts';
import { findingToWire } from './finding-to-wire.ts';

/**
 * Returns the health of a set in its wire form.
 *
 * @param record the last result of the set
 * @param generation of the whole set
 * @param isWhole whether the caller sees all of its fields; what failed may reveal something of the others
 */
export function healthToWire(record: HealthRecord | undefined, generation: number, isWhole: boolean): Health {
  if (record === undefined) return { state: 'unproved' };
  const { set, checked, good, finding } = record;
  const times = { checked, ...(good === undefined ? {} : { good }) };
  if (record.generation !== generation) return { state: 'unproved', ...times };
  const isShown = finding !== undefined && isWhole;
  return { state: record.state, ...times, ...(isShown ? { finding: findingToWire(set, finding) } : {}) };
}
