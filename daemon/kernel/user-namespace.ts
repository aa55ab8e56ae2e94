import { existsSync, readFileSync } from 'node:fs';

/** All ids but -1, which is none. */
const IDS = 2 ** 32 - 1;

/** DEFAULT_OVERFLOWUID in the kernel's highuid.h. */
const OVERFLOW_ID = 65_534;

/**
 * The number by which the kernel calls all users, or all groups, that have none in a user namespace (user_namespaces(7)).
 * Many of them look like one there, and like a `nobody` who may have a number of his own.
 *
 * @param map the text of `/proc/PID/uid_map` or `gid_map`; undefined where the kernel has no such namespaces
 * @param overflowId the text of `/proc/sys/kernel/overflowuid` or `overflowgid`
 * @returns undefined where all have a number, as on a host
 */
export function strangersId(map: string | undefined, overflowId: string | undefined): number | undefined {
  const counts = (map ?? '').split('\n').map((line) => Number(line.trim().split(/\s+/)[2] ?? 0));
  const mapped = counts.reduce((sum, count) => sum + count, 0);
  return map === undefined || mapped >= IDS ? undefined : Number(overflowId ?? OVERFLOW_ID);
}

/** The same for this process; what a namespace maps is said once, when it is made. */
export const STRANGERS_UID: number | undefined = ofThisProcess('uid');
export const STRANGERS_GID: number | undefined = ofThisProcess('gid');

function ofThisProcess(kind: 'uid' | 'gid'): number | undefined {
  return strangersId(mapOf(kind), textOf(`/proc/sys/kernel/overflow${kind}`));
}

/** Undefined where the kernel has no such file. Where /proc is hidden there is no telling, and whoever may be a stranger is one. */
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
