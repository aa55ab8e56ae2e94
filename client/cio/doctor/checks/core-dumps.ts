import type { Facts } from '../facts.ts';
import { isInService } from '../in-service.ts';
import { RESTART, revertService } from '../fixes.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Checks whether the memory of the daemon can end up in a core file. */
export function checkCoreDumps(facts: Facts): Verdict {
  const { daemon, process } = facts;
  const notes = new Notes();
  const undumpable = daemon.kind === 'answered' ? daemon.status.undumpable : undefined;
  const seen = notes.see(process);
  const limit = seen && notes.see(seen.coreLimit);
  const isLimited = limit?.soft === '0';
  if (undumpable === undefined || undumpable === null) {
    notes.skip(
      daemon.kind === 'answered'
        ? 'only administrators can see whether the process is dumpable'
        : 'the daemon does not answer',
    );
  } else if (!undumpable) {
    const what = 'the memory of the daemon can be dumped';
    const why = 'keys and values can end up in a core file, or in a debugger of the same user';
    const fix = isInService(process) ? RESTART : undefined;
    if (isLimited) notes.warning(`${what}; only its limit on core files prevents it`, why, fix);
    else notes.error(what, why, fix);
  }
  if (limit !== undefined && !isLimited && isInService(process)) {
    notes.warning(
      `the daemon's limit on core files is ${limit.soft}, not 0`,
      'the limit is the second safeguard, should the process become dumpable',
      revertService(facts),
    );
  }
  return notes;
}
