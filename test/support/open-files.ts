import fs from 'node:fs';

/** Returns the paths of this process's open files that are the directory itself or below it. */
export function openFilesIn(directory: string): string[] {
  const paths = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The descriptor by which /proc/self/fd itself was listed.
      return '';
    }
  });
  return paths.filter((path) => path === directory || path.startsWith(`${directory}/`));
}
