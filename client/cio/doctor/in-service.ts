import type { Facts } from './facts.ts';
import { SERVICE } from './places.ts';

/** Whether the daemon was seen to run in the host's service: nothing of that service mends another one, as a user's own. */
export function isInService(process: Facts['process']): boolean {
  return 'value' in process && 'value' in process.value.unit && process.value.unit.value === SERVICE;
}
