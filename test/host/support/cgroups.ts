import fs from 'node:fs';
import path from 'node:path';

const NAME = /^cio-host-(\d+)$/;

/**
 * Returns folders for a machine to use as its own cgroup, one in each hierarchy where systemd keeps its units. The
 * folders are not created here, and may be removed once no process is left in them. Cgroups that killed runs have left
 * behind are removed.
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

/**
 * Removes the cgroup of a killed run. Its last processes may still be exiting (EBUSY), or another run may remove it at
 * the same time (ENOENT). The next run removes what remains.
 */
function removeLeftBehind(directory: string): void {
  try {
    removeCgroup(directory);
  } catch (error) {
    if (!['EBUSY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Removes a cgroup and all below it. No process may be left in them. */
export function removeCgroup(directory: string): void {
  if (!fs.existsSync(directory)) return;
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(path.join(directory, entry.name));
  }
  // The files in it belong to the kernel, and disappear with it.
  fs.rmdirSync(directory);
}

/** Returns this process's own cgroups: in cgroup2, and in version 1's hierarchy `name=systemd` if it is mounted. */
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
      // proc_pid_mountinfo(5): fields up to a lone dash, then the file system's type, source and options.
      const [before = '', after = ''] = line.split(' - ');
      const [, , , root = '', mountPoint = ''] = before.split(' ');
      const [type, , options = ''] = after.split(' ');
      const isNamed = type === 'cgroup' && options.split(',').includes('name=systemd');
      const own = paths.get(isNamed ? 'name=systemd' : '');
      if ((type !== 'cgroup2' && !isNamed) || own === undefined) return [];
      return [path.join(mountPoint, path.relative(root, own))];
    });
}
