import type { Facts } from '../facts.ts';
import { isInService } from '../in-service.ts';
import { revertService } from '../fixes.ts';
import { SERVICE } from '../places.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Checks whether keys, or the values that pass through the daemon, can be written to a swap device. */
export function checkSwap(facts: Facts): Verdict {
  const { daemon, process, swap } = facts;
  const notes = new Notes();
  const devices = notes.see(swap) ?? [];
  const clear = devices.filter(({ protection }) => protection === 'none').map(({ name }) => name);
  const seen = notes.see(process);
  const isInUnit = isInService(process);
  const keysLocked = daemon.kind === 'answered' ? daemon.status.keysLocked : undefined;
  if (keysLocked === undefined || keysLocked === null) {
    notes.skip(
      daemon.kind === 'answered'
        ? 'only administrators can see whether the keys are locked'
        : 'the daemon does not answer',
    );
  } else if (!keysLocked) {
    const what = 'the keys are not locked in memory';
    // A running daemon inherited its limit from the shell that started it, and has to stop before another can start.
    const again = isInUnit ? '' : '; stop the daemon, and start it where ulimit -l says 8192 or more';
    const why = 'they can be written to a swap device, where they stay';
    const fix = isInUnit ? revertService(facts) : undefined;
    const isBounded = seen !== undefined && 'value' in seen.swapMax && seen.swapMax.value === '0';
    if (isBounded)
      notes.hint(what, 'its control group keeps them out of swap; the lock would be a second safeguard', fix);
    else if (clear.length > 0) notes.error(what, why + again, fix);
    else notes.warning(what, `${why}; there is none now${again}`, fix);
  }
  if (devices.length === 0 || seen === undefined) return notes;
  const swapMax = notes.see(seen.swapMax);
  if (('unseen' in seen.swapMax && swapMax === undefined) || swapMax === '0') return notes;
  // Without a memory.swap.max file, as on cgroup v1, MemorySwapMax= has no effect.
  const fix = isInUnit && swapMax !== undefined ? `systemctl set-property ${SERVICE} MemorySwapMax=0` : 'swapoff -a';
  if (clear.length > 0) {
    notes.warning(
      `values can be written to ${clear.join(', ')}`,
      'the keys are locked in memory, but values in transit are not; what reached a disk stays there',
      fix,
    );
  } else {
    const names = devices.map(({ name }) => name).join(', ');
    notes.hint(
      `values can be written to ${names}`,
      'it is encrypted or in memory, so nothing reaches a disk in clear text; the unit need not use it at all',
      fix,
    );
  }
  return notes;
}
