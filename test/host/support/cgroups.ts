import fs from 'node:fs';
import path from 'node:path';

const NAME = /^cio-host-(\d+)$/;

/**
 * Folders, one in each hierarchy that systemd keeps its units in, for a machine to have as its own cgroup. They are not
 * made here, and may be removed once nothing runs in them. What runs that were killed have left behind goes away.
 *
 * @throws Error where no such hierarchy is mounted
 */
export function machineCgroups(name: string): string[] {
  const own = ownCgroups();
  if (own.length === 0) throw new Error('neither cgroup2 nor the cgroup hierarchy name=systemd is mounted');
  for (const parent of own) {
    for (const entry of fs.readdirSync(parent)) {
      const pid = NAME.exec(entry)?.[1];
      if (pid !== undefined && !fs.existsSync(`/proc/${pid}`)) removeLeftBehind(path.join(parent, entry));
    }
  }
  return own.map((parent) => path.join(parent, name));
}

/** What was killed may be ending just now, or another run may remove it too: the next run sees to what is left. */
function removeLeftBehind(directory: string): void {
  try {
    removeCgroup(directory);
  } catch (error) {
    if (!['EBUSY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Removes a cgroup with all below it; nothing may run there any more. */
export function removeCgroup(directory: string): void {
  if (!fs.existsSync(directory)) return;
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(path.join(directory, entry.name));
  }
  // The files in it are the kernel's, and go with it.
  fs.rmdirSync(directory);
}

/** Where this process is: in cgroup2, and in version 1's hierarchy of systemd where there is one. */
function ownCgroups(): string[] {
  const paths = new Map(
    fs
      .readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
      .map((match) => [match?.[1], match?.[2]]),
  );
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      // proc_pid_mountinfo(5): fields up to a lone dash, then type, source and options of the file system.
      const [before = '', after = ''] = line.split(' - ');
      const [, , , root = '', mountPoint = ''] = before.split(' ');
      const [type, , options = ''] = after.split(' ');
      const isNamed = type === 'cgroup' && options.split(',').includes('name=systemd');
      const own = paths.get(isNamed ? 'name=systemd' : '');
      if ((type !== 'cgroup2' && !isNamed) || own === undefined) return [];
      return [path.join(mountPoint, path.relative(root, own))];
    });
}
