import {
  NO_KEYS,
  foundSet,
  missingKeyReason,
  pickValues,
  valueOf,
  type Found,
  type FoundCredential,
  type FoundSet,
  type Skipped,
  type ReaderContext,
} from './found.ts';
import { ImportError } from './import-error.ts';
import { describeSection, parseIni, type Section } from './ini.ts';
import { labelOf } from './set-name.ts';
import { withoutSlash } from './text.ts';

const S3_FIELDS = {
  access_key_id: 'access_key',
  secret_access_key: 'secret_key',
  session_token: 'session_token',
  region: 'region',
  endpoint: 'endpoint',
  force_path_style: 'path_style',
  storage_class: 'storage_class',
  server_side_encryption: 'sse',
};
const AZURE_FIELDS = { account: 'account_name', key: 'account_key' };
const GOOGLE_FIELDS = { project_number: 'project_id', service_account_credentials: 'service_account' };

/** The first line of a configuration that rclone has encrypted with a password (fs/config/crypt.go). */
const ENCRYPTED = /^RCLONE_ENCRYPT_V\d+:/m;

/**
 * Reads `rclone.conf`. Remotes of S3, Azure and Google become sets. The passwords of a `crypt` remote belong to no set,
 * and become the credentials `rclone_<remote>_password` and `…_password2`. They are obscured in the file; keys are not.
 */
export function readRclone(text: string, { reveal }: ReaderContext): Found {
  if (ENCRYPTED.test(text)) {
    throw new ImportError(
      undefined,
      'rclone has encrypted it; remove the password first with: rclone config encryption remove, or rclone config, s, u',
    );
  }
  const sets: FoundSet[] = [];
  const credentials: FoundCredential[] = [];
  const skipped: Skipped[] = [];
  for (const remote of parseIni(text)) {
    const what = describeSection(remote.name);
    if (valueOf(remote.entries, 'type') === 'crypt') {
      credentials.push(...readCrypt(remote, reveal));
      continue;
    }
    const found = readRemote(remote);
    if (typeof found === 'string') skipped.push({ line: remote.line, what, reason: found });
    else sets.push(found);
  }
  return { sets, credentials, skipped };
}

/** Returns the set of a remote, or the reason why it cannot be imported. */
function readRemote(remote: Section): FoundSet | string {
  const { entries } = remote;
  switch (valueOf(entries, 'type')) {
    case 's3':
      return readS3(remote);
    case 'azureblob':
      return readAzure(remote);
    case 'google cloud storage':
      return readGoogle(remote);
    case undefined:
      return 'it has no type';
    default:
      return 'its type is not one that a set can have: s3, azureblob, google cloud storage';
  }
}

function readS3({ name, line, entries }: Section): FoundSet | string {
  const values = pickValues(entries, S3_FIELDS);
  const missing = missingKeyReason(values, 'access_key', 'secret_key');
  if (missing !== undefined) {
    if (missing !== NO_KEYS || valueOf(entries, 'env_auth') !== 'true') return missing;
    values.set('use_iam', 'true');
  }
  const brand = valueOf(entries, 'provider')?.toLowerCase();
  if (brand === 'aws' && !values.has('endpoint')) return foundSet(line, name, values, 'aws');
  return foundSet(line, name, values, brand === 'minio' ? 'minio' : 's3');
}

function readAzure({ name, line, entries }: Section): FoundSet | string {
  const values = pickValues(entries, AZURE_FIELDS);
  if (valueOf(entries, 'sas_url') !== undefined) return 'its key is a URL with a signature (sas_url)';
  const account = values.get('account_name');
  if (account === undefined || !values.has('account_key')) return 'it has no account with a key';
  const host = withoutSlash(valueOf(entries, 'endpoint') ?? '').replace(/^https:\/\//, '');
  if (host !== '') {
    const suffix = host.replace(`${account}.`, '').replace(/^blob\./, '');
    values.set('endpoint_suffix', suffix);
  }
  return foundSet(line, name, values, 'azure');
}

function readGoogle({ name, line, entries }: Section): FoundSet | string {
  const values = pickValues(entries, GOOGLE_FIELDS);
  if (values.has('service_account')) return foundSet(line, name, values, 'google');
  if (valueOf(entries, 'service_account_file') !== undefined)
    return 'its key is in a file of its own (service_account_file); import that file';
  return 'it has no service account; the token of a login cannot be imported';
}

function readCrypt({ name, line, entries }: Section, reveal: ReaderContext['reveal']): FoundCredential[] {
  return entries.flatMap(({ key, value, line: at }): FoundCredential[] => {
    const part = key.toLowerCase();
    if ((part !== 'password' && part !== 'password2') || value === '') return [];
    const revealed = reveal(value);
    if (revealed === undefined) throw new ImportError(at, `the ${part} is not one that rclone has obscured`);
    if (revealed === '') return [];
    return [{ line, credential: { name: `rclone_${labelOf(name)}_${part}`, value: revealed } }];
  });
}

/** Tells whether sections are rclone remotes. */
export function isRclone(sections: readonly Section[]): boolean {
  return sections.some(({ entries }) => valueOf(entries, 'type') !== undefined);
}
