const UNIT_NAME = /^[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\-]*)?\.(?:service|scope|socket|mount|swap)$/;

/**
 * The system unit of a process, from the text of its `/proc/<pid>/cgroup` (cgroups(7)): the first part of the path that
 * is no slice. What stands behind it is the unit's own to make (a user manager's units, a container's, a delegated tree)
 * and proves nothing.
 */
export function unitOfCgroup(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const match = /^(?:0:|\d+:name=systemd):(\/.*)$/.exec(line);
    const part = match?.[1]?.split('/').find((name) => name !== '' && !name.endsWith('.slice'));
    if (part !== undefined) return UNIT_NAME.test(part) ? part : undefined;
  }
  return undefined;
}

/** The template of an instance: `restic@.service` of `restic@home.service`; undefined where the unit is no instance. */
export function templateOf(unit: string): string | undefined {
  const match = /^([^@]+@)[^@]+(\.[a-z]+)$/.exec(unit);
  return match === null ? undefined : `${match[1]}${match[2]}`;
}

/** Tells whether a text can be the name of a unit that runs processes, or of a template of such units (systemd.unit(5)). */
export function isUnitName(text: string): boolean {
  return text.length <= 255 && UNIT_NAME.test(text);
}
