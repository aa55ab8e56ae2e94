/** A mounted file system. */
export interface Mount {
  readonly type: string;
  /** The device, or whatever else the file system names as its source. */
  readonly source: string;
  readonly isReadOnly: boolean;
}

/**
 * Finds the file system of an absolute path without symbolic links in the text of /proc/self/mountinfo
 * (proc_pid_mountinfo(5)). Of several on one mount point, the last one is on top.
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

/** Decodes the octal escapes for blanks and backslashes, such as `\040`. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
