import type { Health } from '../../src/protocol/interface.generated.ts';
import type { HealthRecord } from '../vault/records.ts';
import { findingToWire } from './finding-to-wire.ts';

/**
 * How a set does, as it is told to callers.
 *
 * @param record its last result
 * @param generation the set's, of all of its fields
 * @param isWhole whether the caller sees all of them; what failed may tell of the others
 */
export function healthToWire(record: HealthRecord | undefined, generation: number, isWhole: boolean): Health {
  if (record === undefined) return { state: 'unproved' };
  const { set, checked, good, finding } = record;
  const times = { checked, ...(good === undefined ? {} : { good }) };
  if (record.generation !== generation) return { state: 'unproved', ...times };
  const isShown = finding !== undefined && isWhole;
  return { state: record.state, ...times, ...(isShown ? { finding: findingToWire(set, finding) } : {}) };
}
