import type { Facts } from './facts.ts';
import { SERVICE } from './places.ts';

/** Whether the daemon is known to run in the host's service. Commands on that service do not help any other daemon. */
export function isInService(process: Facts['process']): boolean {
  return 'value' in process && 'value' in process.value.unit && process.value.unit.value === SERVICE;
}
