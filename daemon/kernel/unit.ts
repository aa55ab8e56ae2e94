import { isUnitName } from '../../src/units.ts';

/**
 * The system unit of a process, from the text of its `/proc/<pid>/cgroup` (cgroups(7)): the first part of the path that
 * is no slice. What stands behind it is the unit's own to make (a user manager's units, a container's, a delegated tree)
 * and proves nothing.
 */
export function unitOfCgroup(text: string): string | undefined {
  return unitsOnTheWay(text)[0];
}

/**
 * The unit of a user's own systemd that a process is in, from the same text: the first part that is no slice below
 * `user@<uid>.service`. It proves nothing to anybody but that user, who may put his processes where he likes there.
 */
export function userUnitOfCgroup(text: string, uid: number): string | undefined {
  const [manager, unit] = unitsOnTheWay(text);
  return manager === `user@${uid}.service` ? unit : undefined;
}

/** systemd puts one `_` in front of a name that the kernel's own files could have, as of `io.service` (cg_escape). */
function unescape(name: string): string {
  return name.startsWith('_') ? name.slice(1) : name;
}

/** The parts of the path that are no slices, up to the first that is no unit. */
function unitsOnTheWay(text: string): string[] {
  for (const line of text.split('\n')) {
    const match = /^(?:0:|\d+:name=systemd):(\/.*)$/.exec(line);
    const names = match?.[1]?.split('/').filter((name) => name !== '') ?? [];
    const parts = names.map(unescape).filter((name) => !name.endsWith('.slice'));
    if (parts.length === 0) continue;
    const end = parts.findIndex((name) => !isUnitName(name));
    return end < 0 ? parts : parts.slice(0, end);
  }
  return [];
}
