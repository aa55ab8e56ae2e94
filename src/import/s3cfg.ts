import { foundSet, missingKeyReason, pickValues, valueOf, type Found } from './found.ts';
import { parseIni, type Section } from './ini.ts';
import { withoutSlash } from './text.ts';

const FIELDS = {
  access_key: 'access_key',
  secret_key: 'secret_key',
  access_token: 'session_token',
  storage_class: 'storage_class',
};

/** s3cmd's old names for regions of Amazon. */
const OLD_REGIONS: ReadonlyMap<string, string> = new Map([
  ['US', 'us-east-1'],
  ['EU', 'eu-west-1'],
]);

/** Reads s3cmd's `~/.s3cfg`. */
export function readS3cfg(text: string): Found {
  const [section] = parseIni(text);
  const entries = section?.entries ?? [];
  const values = pickValues(entries, FIELDS);
  const missing = missingKeyReason(values, 'access_key', 'secret_key');
  if (missing !== undefined)
    return { sets: [], credentials: [], skipped: [{ line: section?.line, what: 's3cmd', reason: missing }] };
  const location = valueOf(entries, 'bucket_location');
  if (location !== undefined) values.set('region', OLD_REGIONS.get(location) ?? location);
  const host = withoutSlash(valueOf(entries, 'host_base') ?? '');
  const isTls = valueOf(entries, 'use_https')?.toLowerCase() !== 'false';
  // Amazon's endpoint follows from the region.
  const isAtAmazon = host === '' || host === 's3.amazonaws.com';
  if (!isAtAmazon) values.set('endpoint', `${isTls ? 'https' : 'http'}://${host.replace(/^https?:\/\//, '')}`);
  const template = valueOf(entries, 'host_bucket');
  if (!isAtAmazon && template !== undefined && !template.includes('%(bucket)')) values.set('path_style', 'true');
  if (valueOf(entries, 'server_side_encryption')?.toLowerCase() === 'true') values.set('sse', 'AES256');
  if (valueOf(entries, 'check_ssl_certificate')?.toLowerCase() === 'false') values.set('skip_verify', 'true');
  const skipped = UNSUPPORTED_KEYS.filter(([key]) => valueOf(entries, key) !== undefined).map(([key, reason]) => ({
    line: entries.find((entry) => entry.key === key)?.line,
    what: `the key ${key}`,
    reason,
  }));
  return { sets: [foundSet(section?.line, undefined, values, isAtAmazon ? 'aws' : 's3')], credentials: [], skipped };
}

const UNSUPPORTED_KEYS: readonly (readonly [key: string, reason: string])[] = [
  ['gpg_passphrase', 'no field of a set takes it; cio credential create NAME stores it under a name of its own'],
  ['ca_certs_file', 'it names a file; cio credential create cio_SET_endpoint_ca --from-file PATH stores what is in it'],
];

/** Tells whether sections are those of s3cmd's file. */
export function isS3cfg(sections: readonly Section[]): boolean {
  return sections.some(({ entries }) =>
    ['host_base', 'host_bucket'].some((key) => entries.some((entry) => entry.key === key)),
  );
}
