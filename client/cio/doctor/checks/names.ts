import { FIELD_IDS } from '../../../../src/providers/registry.ts';
import { canonicalName } from '../../../../src/names.ts';
import { membershipOf } from '../../../../src/sets.ts';
import type { Facts } from '../facts.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Checks whether credentials whose names begin like those of a set's fields (`cio_`) are fields of a set. */
export function checkNames({ daemon }: Facts): Verdict {
  const notes = new Notes();
  if (daemon.kind === 'silent') {
    notes.skip('the daemon does not answer');
    return notes;
  }
  for (const { name } of notes.see(daemon.list)?.credentials ?? []) {
    if (!name.startsWith('cio_')) continue;
    const today = canonicalName(name);
    if (today !== name) notes.hint(`${name} is now called ${today}`, 'both names find it, but lists show only one');
    else if (membershipOf(name) === undefined) {
      notes.hint(
        `${name} looks like a field of a set, but is not one`,
        `no set has it, and exec and env do not pass it on; the fields are ${FIELD_IDS.toSorted().join(', ')}`,
      );
    }
  }
  return notes;
}
