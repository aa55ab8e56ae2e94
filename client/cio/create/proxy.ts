import { usageError } from '../command-error.ts';
import type { FieldOptions } from './options.ts';

/**
 * Variables that programs read a proxy from. Those for https come first, as nearly all servers are reached by https.
 */
const VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'] as const;

/**
 * Returns the proxy that the user's programs use.
 *
 * @throws CommandError `Usage` if none is set
 */
export function proxyOf({ proxy }: FieldOptions, environment: Readonly<Record<string, string | undefined>>): string {
  if (proxy !== undefined) throw usageError('--proxy and --use-proxy exclude each other');
  const found = VARIABLES.map((name) => environment[name]).find((text) => text !== undefined && text !== '');
  if (found !== undefined) return found;
  throw usageError('--use-proxy finds none: HTTPS_PROXY and HTTP_PROXY are not set', 'give --proxy URL');
}
