/**
 * Returns the user's home directory: `$HOME`, or else the one in the user database. Undefined if the database does not
 * know the user, as can happen in a unit with `DynamicUser=yes` or in a container that runs under an arbitrary uid.
 * Also undefined if the path is not absolute, since it would then depend on the working directory.
 *
 * @param lookUp looks the user up in the database; Node's `os.homedir`
 */
export function homeDirectory(
  environment: Readonly<Record<string, string | undefined>>,
  lookUp: () => string,
): string | undefined {
  try {
    const home = environment['HOME'] || lookUp();
    return home.startsWith('/') ? home : undefined;
  } catch (error) {
    // Node throws this if uv_os_homedir() finds no entry for the user.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR') return undefined;
    throw error;
  }
}
