/** The file system that a path is on. */
export interface Mount {
  readonly type: string;
  /** The device, or what else the file system calls its source. */
  readonly source: string;
  readonly isReadOnly: boolean;
}

/**
 * Finds the file system of an absolute path without symbolic links, from the text of /proc/self/mountinfo
 * (proc_pid_mountinfo(5)). Of several at one place the last one is on top.
 */
export function mountOf(mountinfo: string, path: string): Mount | undefined {
  let found: { readonly point: string; readonly mount: Mount } | undefined;
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , , rawPoint = '', options = ''] = before.split(' ');
    const [type = '', source = '', superOptions = ''] = after.split(' ');
    const point = unescapeOctal(rawPoint);
    if (point === '' || !isBelow(path, point) || point.length < (found?.point.length ?? 0)) continue;
    const isReadOnly = [options, superOptions].some((list) => list.split(',').includes('ro'));
    found = { point, mount: { type, source: unescapeOctal(source), isReadOnly } };
  }
  return found?.mount;
}

function isBelow(path: string, point: string): boolean {
  return point === '/' || path === point || path.startsWith(`${point}/`);
}

/** Blanks and backslashes are written as `\040`. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
