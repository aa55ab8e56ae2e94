import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';

const REPLACEMENT = '\ufffd';

/** What there is to say of a secret among the arguments. */
export const SECRET_ARGUMENT_WARNING =
  'other users of this host can see a secret on the command line, and the shell remembers it';

/**
 * Tells whether an argument reached this process unchanged. Node reads arguments as UTF-8, and puts U+FFFD where they
 * are not: a file name in another encoding would silently become the name of another file.
 */
export function isIntact(argument: string): boolean {
  return !argument.includes(REPLACEMENT) || isUtf8File('/proc/self/cmdline');
}

/** Names of the environment's variables that did not reach this process unchanged, see {@link isIntact}. */
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
