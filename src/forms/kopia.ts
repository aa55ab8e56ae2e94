import { parseAzureRepository } from '../providers/azure.ts';
import { parseGoogleRepository } from '../providers/google.ts';
import { parseS3Repository } from '../providers/s3-repository.ts';
import { parseServer } from '../providers/server.ts';
import { formatEnvironmentFile } from '../set-files.ts';
import { quoteIfNeeded } from './shell.ts';
import { CredentialError } from '../errors.ts';
import { refuseNul, requireComplete, type SetContent } from './set-content.ts';

/** The arguments and variables of `kopia repository connect` for one kind of storage. */
interface Connection {
  readonly kind: string;
  /** Options without secrets. An option is left out if its value is undefined, and is a flag if it is empty. */
  readonly options: readonly (readonly [name: string, value: string | undefined])[];
  /** Variables of kopia, each with the field that its value comes from. */
  readonly variables: readonly (readonly [name: string, field: string])[];
}

/**
 * Formats a set as an environment file for kopia. A comment contains the command that connects the repository, with
 * everything that is no secret in its options.
 *
 * @throws CredentialError `Incomplete`, `InvalidValue`
 */
export function formatKopia(content: SetContent): string {
  const provider = requireComplete(content, ['backup_repo']);
  refuseNul(content);
  const { kind, options, variables } =
    provider.id === 'azure'
      ? azureConnection(content)
      : provider.id === 'google'
        ? googleConnection(content)
        : s3Connection(content);
  const words = options.flatMap(([name, value]) => {
    if (value === undefined) return [];
    return value === '' ? `--${name}` : quoteIfNeeded(`--${name}=${value}`);
  });
  const values = [...variables, ['KOPIA_PASSWORD', 'backup_password'] as const].flatMap(([name, field]) => {
    const value = content.values.get(field);
    return value === undefined ? [] : [[name, value] as const];
  });
  const command = ['kopia', 'repository', 'connect', kind, ...words].join(' ');
  return `# ${command}\n${formatEnvironmentFile({ set: new Map(values), unset: [] })}`;
}

function s3Connection(content: SetContent): Connection {
  const { values } = content;
  const repository = parseS3Repository(values.get('backup_repo') ?? '');
  const named = parseServer(values.get('endpoint')?.split(',', 1)[0] ?? '');
  const server = 'host' in named ? named : 'host' in repository ? repository : undefined;
  const { bucket, prefix } = placeOf(content, repository);
  return {
    kind: 's3',
    options: [
      ['bucket', bucket],
      ['prefix', prefix],
      ['endpoint', server?.host],
      ['region', values.get('region')],
      ['disable-tls', server?.isTls === false ? '' : undefined],
      ['disable-tls-verification', values.get('skip_verify') === 'true' ? '' : undefined],
      ['root-ca-pem-path', values.has('endpoint_ca') ? 'CA-FILE' : undefined],
    ],
    variables: [
      ['AWS_ACCESS_KEY_ID', 'access_key'],
      ['AWS_SECRET_ACCESS_KEY', 'secret_key'],
      ['AWS_SESSION_TOKEN', 'session_token'],
    ],
  };
}

function azureConnection(content: SetContent): Connection {
  const { values } = content;
  const { bucket, prefix } = placeOf(content, parseAzureRepository(values.get('backup_repo') ?? ''));
  return {
    kind: 'azure',
    options: [
      ['container', bucket],
      ['prefix', prefix],
      ['storage-account', values.get('account_name')],
      ['storage-domain', domainOf(values.get('endpoint_suffix'))],
    ],
    variables: [['AZURE_STORAGE_KEY', 'account_key']],
  };
}

function googleConnection(content: SetContent): Connection {
  const { values } = content;
  const { bucket, prefix } = placeOf(content, parseGoogleRepository(values.get('backup_repo') ?? ''));
  return {
    kind: 'gcs',
    options: [
      ['bucket', bucket],
      ['prefix', prefix],
      ['credentials-file', values.has('service_account') ? 'SERVICE-ACCOUNT-FILE' : undefined],
    ],
    variables: [],
  };
}

interface Place {
  readonly bucket: string;
  readonly prefix: string | undefined;
}

/** Returns the bucket and prefix of the repository; without a valid repository, those in the fields of the set. */
function placeOf({ set, values }: SetContent, repository: Place | { readonly reason: string }): Place {
  const isNamed = 'bucket' in repository;
  const bucket = isNamed ? repository.bucket : values.get('bucket');
  if (bucket === undefined) throw new CredentialError('Incomplete', { set, missing: ['backup_repo'] });
  const prefix = (isNamed ? repository.prefix : values.get('prefix')) ?? '';
  // kopia prepends the prefix to its object names unchanged; restic puts a slash between them.
  return { bucket, prefix: prefix === '' ? undefined : `${prefix}/` };
}

function domainOf(suffix: string | undefined): string | undefined {
  return suffix === undefined ? undefined : `blob.${suffix}`;
}
