import { AZURE_ENDPOINT_SUFFIX } from '../providers/azure.ts';
import { REPOSITORY_FIELDS } from '../providers/common-fields.ts';
import { deriveS3 } from '../providers/s3-fields.ts';
import { formatAwsFile } from '../set-files.ts';
import { usesIdentity } from '../sets.ts';
import { requireComplete, notExpressible, type SetContent } from './set-content.ts';

/** The keys of a set whose provider speaks S3. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/**
 * Returns the keys of a set. Undefined for a set of another kind, and for one that uses the machine's own identity.
 *
 * @throws CredentialError `Incomplete`
 */
export function awsKeysOf(content: SetContent): AwsKeys | undefined {
  const { values } = content;
  const provider = requireComplete(content, REPOSITORY_FIELDS);
  const [accessKeyId, secretAccessKey] = [values.get('access_key'), values.get('secret_key')];
  if (!provider.fields.some(({ id }) => id === 'access_key') || usesIdentity(values.get('use_iam'))) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: values.get('session_token') };
}

/**
 * Formats a set as the AWS tools' shared credentials file, as profile `default`. Undefined for a set without AWS keys.
 *
 * @throws CredentialError `Incomplete`, `InvalidValue`
 */
export function formatAws(content: SetContent): string | undefined {
  if (awsKeysOf(content) === undefined) return undefined;
  const text = formatAwsFile(content.values);
  if (text === undefined)
    throw notExpressible(content.set, 'secret_key', 'it does not fit into a line of a credentials file');
  return text;
}

/**
 * Formats the file `cloud` for Velero's plugins: a credentials file for S3, variables for Azure, the service account's
 * JSON for Google. Undefined for a set without keys.
 *
 * @throws CredentialError `Incomplete`, `InvalidValue`
 */
export function formatVelero(content: SetContent): string | undefined {
  const { set, values } = content;
  const provider = requireComplete(content, REPOSITORY_FIELDS);
  if (provider.id === 'google') {
    const account = values.get('service_account');
    return account?.endsWith('\n') === false ? `${account}\n` : account;
  }
  if (provider.id === 'azure') {
    const key = values.get('account_key');
    const cloud = AZURE_CLOUDS.get(values.get('endpoint_suffix') ?? AZURE_ENDPOINT_SUFFIX);
    if (key === undefined) return undefined;
    if (/[\0\r\n]/.test(key)) throw notExpressible(set, 'account_key', 'it does not fit into a line');
    return `AZURE_STORAGE_ACCOUNT_ACCESS_KEY=${key}\n${cloud === undefined ? '' : `AZURE_CLOUD_NAME=${cloud}\n`}`;
  }
  // Velero's documentation has no spaces around the equals sign, and puts the region into the storage location.
  return formatAws(content)
    ?.replaceAll(' = ', '=')
    .replace(/^region=.*\n/m, '');
}

/** Azure's clouds by the suffix of their host names, as Azure's tools call them. */
const AZURE_CLOUDS: ReadonlyMap<string, string> = new Map([
  [AZURE_ENDPOINT_SUFFIX, 'AzurePublicCloud'],
  ['core.usgovcloudapi.net', 'AzureUSGovernmentCloud'],
  ['core.chinacloudapi.cn', 'AzureChinaCloud'],
]);

/**
 * Formats profiles that make the AWS tools run a command for a set's keys. The SDKs and the AWS command line look for
 * `credential_process` in `~/.aws/config`, where the section is called `profile NAME`. minio-go, which restic and kopia
 * use, looks only in the shared credentials file, where it is called `NAME`. The text has both, and can be used as
 * either file.
 *
 * @param command the command that prints the keys, in words without white space: minio-go splits it there, and does not
 *   support quotes
 */
export function formatAwsProfiles({ set, values }: SetContent, command: readonly string[]): string {
  const process = `credential_process = ${command.join(' ')}\n`;
  const region = values.get('region');
  const server = deriveS3(values).variables['AWS_ENDPOINT_URL_S3'];
  const settings = [
    ...(region === undefined ? [] : [`region = ${region}\n`]),
    ...(server === undefined ? [] : [`endpoint_url = ${server}\n`]),
  ].join('');
  return (
    `# For ~/.aws/config: the AWS SDKs and the AWS command line.\n[profile ${set}]\n${process}${settings}\n` +
    `# For ~/.aws/credentials: restic, kopia and others with minio-go.\n[${set}]\n${process}`
  );
}
