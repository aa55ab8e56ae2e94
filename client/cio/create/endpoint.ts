import { usageError } from '../command-error.ts';
import type { FieldOptions } from './options.ts';

/**
 * The servers of a set with their schemes. What is not said stays as it is: other servers keep the scheme of the present
 * ones, and the same servers can be given another.
 *
 * @param present the field `endpoint` of the set as it is
 * @throws CommandError `Usage` where there is no server, or two schemes are said
 */
export function endpointValue(options: FieldOptions, present: string | undefined): string {
  const typed = options['s3-endpoint'];
  const isClear = options['s3-disable-ssl'];
  const text = typed ?? present?.replaceAll('https://', '');
  if (text === undefined) {
    throw usageError('--s3-disable-ssl needs --s3-endpoint', 'without one it is Amazon, which is asked by https');
  }
  const servers = text.split(',').map((server) => server.trim());
  if (isClear && servers.some((server) => server.startsWith('https://'))) {
    throw usageError('--s3-disable-ssl and an endpoint with https:// exclude each other');
  }
  const wasClear = present?.split(',').every((server) => server.trim().startsWith('http://')) === true;
  const scheme = isClear || wasClear ? 'http' : 'https';
  return servers.map((server) => (/^https?:\/\//.test(server) ? server : `${scheme}://${server}`)).join(',');
}
