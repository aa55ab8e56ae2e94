/**
 * Where a user's own files are: `$HOME`, else what the user database says. Undefined where it does not know the user, as
 * it may be for a unit with `DynamicUser=yes` and for a container that runs under any uid, and where it is not absolute:
 * another folder for every directory that a program is started in.
 *
 * @param lookUp asks the user database; Node's `os.homedir`
 */
export function homeDirectory(
  environment: Readonly<Record<string, string | undefined>>,
  lookUp: () => string,
): string | undefined {
  try {
    const home = environment['HOME'] || lookUp();
    return home.startsWith('/') ? home : undefined;
  } catch (error) {
    // Node's word for uv_os_homedir(3) that found no entry.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR') return undefined;
    throw error;
  }
}
