import { isUnitName } from '../../src/units.ts';

/**
 * Returns the system unit of a process, from the text of its `/proc/<pid>/cgroup` (cgroups(7)): the first part of the
 * path that is not a slice. What follows is under the control of the unit itself (the units of a user manager or of a
 * container, a delegated tree) and proves nothing.
 */
export function unitOfCgroup(text: string): string | undefined {
  return unitsOnTheWay(text)[0];
}

/**
 * Returns the unit of a user's own systemd that a process is in, from the same text: the first part below
 * `user@<uid>.service` that is not a slice. It proves nothing to anybody but that user, who controls that part of the
 * tree.
 */
export function userUnitOfCgroup(text: string, uid: number): string | undefined {
  const [manager, unit] = unitsOnTheWay(text);
  return manager === `user@${uid}.service` ? unit : undefined;
}

/**
 * Removes the `_` that systemd puts before a name that could be one of the kernel's own files, as `io.service`
 * (cg_escape).
 */
function unescape(name: string): string {
  return name.startsWith('_') ? name.slice(1) : name;
}

/** Returns the parts of the path that are not slices, up to the first that is not a unit. */
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
