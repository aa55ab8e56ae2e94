import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';

const REPLACEMENT = '\ufffd';

/** The warning about a secret among the arguments. */
export const SECRET_ARGUMENT_WARNING =
  'other users of this host can see a secret on the command line, and the shell remembers it';

/**
 * Tells whether an argument reached this process unchanged. Node decodes arguments as UTF-8, and replaces invalid bytes
 * by U+FFFD: a file name in another encoding would silently become the name of another file.
 */
export function isIntact(argument: string): boolean {
  return !argument.includes(REPLACEMENT) || isUtf8File('/proc/self/cmdline');
}

/** Returns the names of the environment variables that did not reach this process unchanged, see {@link isIntact}. */
export function brokenVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const suspects = Object.keys(environment).filter((name) => environment[name]?.includes(REPLACEMENT));
  return suspects.length === 0 || isUtf8File('/proc/self/environ') ? [] : suspects;
}

function isUtf8File(path: string): boolean {
  try {
    return isUtf8(readFileSync(path));
  } catch {
    return false;
  }
}
