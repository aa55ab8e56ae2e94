import { usageError } from '../command-error.ts';
import type { FieldOptions } from './options.ts';

/**
 * Returns the servers of a set with their schemes. What the options leave open stays: new servers take the scheme of
 * the present ones, and `--s3-disable-ssl` alone changes the scheme of the present servers.
 *
 * @param present the present value of the set's field `endpoint`
 * @throws CommandError `Usage` if there is no server, or two schemes are given
 */
export function endpointValue(options: FieldOptions, present: string | undefined): string {
  const typed = options['s3-endpoint'];
  const isClear = options['s3-disable-ssl'];
  const text = typed ?? present?.replaceAll('https://', '');
  if (text === undefined) {
    throw usageError('--s3-disable-ssl needs --s3-endpoint', 'without one, the server is Amazon, over https');
  }
  const servers = text.split(',').map((server) => server.trim());
  if (isClear && servers.some((server) => server.startsWith('https://'))) {
    throw usageError('--s3-disable-ssl and an endpoint with https:// exclude each other');
  }
  const wasClear = present?.split(',').every((server) => server.trim().startsWith('http://')) === true;
  const scheme = isClear || wasClear ? 'http' : 'https';
  return servers.map((server) => (/^https?:\/\//.test(server) ? server : `${scheme}://${server}`)).join(',');
}
