import { FIELD_IDS } from '../../../../src/providers/registry.ts';
import { canonicalName } from '../../../../src/names.ts';
import { membershipOf } from '../../../../src/sets.ts';
import type { Facts } from '../facts.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Whether names that look like fields of a set are fields of a set. */
export function checkNames({ daemon }: Facts): Verdict {
  const notes = new Notes();
  if (daemon.kind === 'silent') {
    notes.skip('the daemon does not answer');
    return notes;
  }
  for (const { name } of notes.see(daemon.list)?.credentials ?? []) {
    if (!name.startsWith('cio_')) continue;
    const today = canonicalName(name);
    if (today !== name) notes.hint(`${name} is called ${today} today`, 'it is found by both names, and listed by one');
    else if (membershipOf(name) === undefined) {
      notes.hint(
        `${name} looks like a field of a set, and is none`,
        `no set has it, and no command gets it by exec or env; the fields are ${FIELD_IDS.toSorted().join(', ')}`,
      );
    }
  }
  return notes;
}
