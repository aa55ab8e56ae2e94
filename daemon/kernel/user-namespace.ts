import { existsSync, readFileSync } from 'node:fs';

/** How many ids there are: all 32-bit numbers except -1, which stands for none. */
const IDS = 2 ** 32 - 1;

/** DEFAULT_OVERFLOWUID in the kernel's highuid.h. */
const OVERFLOW_ID = 65_534;

/**
 * Returns the overflow id: the number that the kernel gives for all users, or all groups, that have none in a user
 * namespace (user_namespaces(7)). There, many of them look like one, and like a `nobody` who really has that number.
 *
 * @param map the text of `/proc/PID/uid_map` or `gid_map`; undefined if the kernel has no such namespaces
 * @param overflow the text of `/proc/sys/kernel/overflowuid` or `overflowgid`
 * @returns undefined if all have a number, as on a host
 */
export function overflowId(map: string | undefined, overflow: string | undefined): number | undefined {
  const counts = (map ?? '').split('\n').map((line) => Number(line.trim().split(/\s+/)[2] ?? 0));
  const mapped = counts.reduce((sum, count) => sum + count, 0);
  return map === undefined || mapped >= IDS ? undefined : Number(overflow ?? OVERFLOW_ID);
}

/** The overflow ids for this process. They do not change: what a namespace maps is fixed when it is set up. */
export const OVERFLOW_UID: number | undefined = ofThisProcess('uid');
export const OVERFLOW_GID: number | undefined = ofThisProcess('gid');

function ofThisProcess(kind: 'uid' | 'gid'): number | undefined {
  return overflowId(mapOf(kind), textOf(`/proc/sys/kernel/overflow${kind}`));
}

/**
 * Reads a map of ids; undefined if the kernel has no such file. If /proc is hidden, the map counts as empty, so that
 * the overflow id is never taken for one user or one group.
 */
function mapOf(kind: 'uid' | 'gid'): string | undefined {
  try {
    return readFileSync(`/proc/self/${kind}_map`, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && existsSync('/proc/self') ? undefined : '';
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
