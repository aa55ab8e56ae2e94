import { PROXY } from '../../../src/providers/common-fields.ts';
import { usageError } from '../command-error.ts';
import type { FieldOptions } from './options.ts';

/**
 * Returns the proxy that the user's programs use: the one for https if it is set, as nearly all servers are reached by
 * https.
 *
 * @throws CommandError `Usage` if none is set
 */
export function proxyOf({ proxy }: FieldOptions, environment: Readonly<Record<string, string | undefined>>): string {
  if (proxy !== undefined) throw usageError('--proxy and --use-proxy exclude each other');
  const found = PROXY.variables.map((name) => environment[name]).find((text) => text !== undefined && text !== '');
  if (found !== undefined) return found;
  throw usageError('--use-proxy finds none: HTTPS_PROXY and HTTP_PROXY are not set', 'give --proxy URL');
}
