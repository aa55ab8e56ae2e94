import fs from 'node:fs';

/** The paths of what this process has open of a directory, and in it. */
export function openFilesIn(directory: string): string[] {
  const paths = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one that the listing itself was read by.
      return '';
    }
  });
  return paths.filter((path) => path === directory || path.startsWith(`${directory}/`));
}
