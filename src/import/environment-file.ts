import { canonicalName } from '../names.ts';
import { membershipOf } from '../sets.ts';
import { parseDotenv } from './dotenv.ts';
import type { Entry } from './entry.ts';
import {
  foundSet,
  NO_KEYS,
  missingKeyReason,
  pickValues,
  valueOf,
  type Found,
  type FoundCredential,
  type Skipped,
} from './found.ts';
import { ImportError } from './import-error.ts';
import { describeKey } from './text.ts';

const FIELDS = {
  RESTIC_REPOSITORY: 'backup_repo',
  RESTIC_PASSWORD: 'backup_password',
  AWS_ACCESS_KEY_ID: 'access_key',
  AWS_SECRET_ACCESS_KEY: 'secret_key',
  AWS_SESSION_TOKEN: 'session_token',
  AWS_DEFAULT_REGION: 'region',
  AWS_REGION: 'region',
  AWS_ENDPOINT_URL: 'endpoint',
  AWS_ENDPOINT_URL_S3: 'endpoint',
  AZURE_ACCOUNT_NAME: 'account_name',
  AZURE_STORAGE_ACCOUNT: 'account_name',
  AZURE_ACCOUNT_KEY: 'account_key',
  AZURE_STORAGE_KEY: 'account_key',
  AZURE_STORAGE_ACCOUNT_ACCESS_KEY: 'account_key',
  AZURE_ENDPOINT_SUFFIX: 'endpoint_suffix',
  GOOGLE_PROJECT_ID: 'project_id',
};

const BY_FILE = 'it names a file; store what is in it:';

/** Variables whose values cannot be imported: they refer to a file or program, or no set has such a field. */
const UNIMPORTABLE_VARIABLES: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^RESTIC_PASSWORD_FILE$/, `${BY_FILE} cio credential create cio_SET_backup_password --from-file PATH`],
  [/^RESTIC_REPOSITORY_FILE$/, `${BY_FILE} cio credential create cio_SET_backup_repo --from-file PATH`],
  [/^GOOGLE_APPLICATION_CREDENTIALS$/, `${BY_FILE} cio credential create cio_SET_service_account --from-file PATH`],
  [/^RESTIC_PASSWORD_COMMAND$/, 'it names a program; its output | cio credential create cio_SET_backup_password'],
  [/^AWS_PROFILE$/, 'it names a profile; cio credential import ~/.aws/credentials --profile NAME'],
  [
    /^(?:B2_|OS_|ST_|RESTIC_REST_|AZURE_(?:ACCOUNT_SAS|CLIENT_|TENANT_)|GOOGLE_ACCESS_TOKEN)/,
    'no field of a set takes it',
  ],
];

/** The prefixes of repositories for which there is a provider. */
const REPOSITORY_OF_PROVIDER = /^(?:s3|azure|gs):/;

/**
 * Reads a file of variables, such as those for restic in `EnvironmentFile=` or a shell, and Velero's file for Azure.
 * Keys may also be the names of credentials, as in `cio_aws_access_key=…`.
 */
export function readEnvironmentFile(text: string): Found {
  const entries = parseDotenv(text);
  const credentials = entries.flatMap(readNamedCredential);
  const others = entries.filter(({ key }) => membershipOf(canonicalName(key)) === undefined);
  const skipped = others.flatMap(({ key, line }): Skipped[] => {
    const reason = UNIMPORTABLE_VARIABLES.find(([pattern]) => pattern.test(key))?.[1];
    return reason === undefined ? [] : [{ line, what: describeKey(key), reason }];
  });
  const values = pickValues(others, FIELDS);
  const start = others.find(({ key }) => key in FIELDS);
  if (start === undefined) return { sets: [], credentials, skipped };
  const missing = incompleteReason(others, values);
  if (missing !== undefined)
    return { sets: [], credentials, skipped: [...skipped, { line: start.line, what: 'the set', reason: missing }] };
  const hint = values.has('account_name') ? 'azure' : values.has('project_id') ? 'google' : 'aws';
  return { sets: [foundSet(start.line, undefined, values, hint)], credentials, skipped };
}

function readNamedCredential({ key, value, line }: Entry): FoundCredential[] {
  const name = canonicalName(key);
  if (membershipOf(name) === undefined) return [];
  if (value === '') throw new ImportError(line, `${describeKey(key)} has no value`);
  return [{ line, credential: { name, value } }];
}

/**
 * Returns the reason why the variables make no set, or undefined if they do.
 *
 * @throws ImportError for an empty variable that stands for a field, which is a mistake
 */
function incompleteReason(entries: readonly Entry[], values: ReadonlyMap<string, string>): string | undefined {
  for (const { key, value, line } of entries) {
    if (key in FIELDS && value.trim() === '') throw new ImportError(line, `${describeKey(key)} has no value`);
  }
  const repository = values.get('backup_repo');
  if (repository !== undefined && !REPOSITORY_OF_PROVIDER.test(repository.trim())) {
    return 'its repository does not begin with s3:, azure: or gs:, for which there are sets';
  }
  if (values.has('access_key') || values.has('secret_key')) return missingKeyReason(values, 'access_key', 'secret_key');
  const isAlone =
    repository === undefined &&
    valueOf(entries, 'AZURE_STORAGE_ACCOUNT') === undefined &&
    !values.has('account_key') &&
    !values.has('project_id') &&
    !values.has('backup_password');
  return isAlone ? NO_KEYS : undefined;
}
