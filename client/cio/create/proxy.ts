import { usageError } from '../command-error.ts';
import type { FieldOptions } from './options.ts';

/** Where programs look for a proxy; all servers are asked by https, but for those that cannot. */
const VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'] as const;

/**
 * The proxy that the caller's own programs use.
 *
 * @throws CommandError `Usage` where he has none
 */
export function proxyOf({ proxy }: FieldOptions, environment: Readonly<Record<string, string | undefined>>): string {
  if (proxy !== undefined) throw usageError('--proxy and --use-proxy exclude each other');
  const found = VARIABLES.map((name) => environment[name]).find((text) => text !== undefined && text !== '');
  if (found !== undefined) return found;
  throw usageError('--use-proxy finds none: HTTPS_PROXY and HTTP_PROXY are not set', '--proxy URL names one');
}
