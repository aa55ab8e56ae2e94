import type { Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';
import { parseAzureRepository } from '../../../src/providers/azure.ts';
import { parseGoogleRepository } from '../../../src/providers/google.ts';
import { PROVIDERS, S3_PROVIDER_IDS } from '../../../src/providers/registry.ts';
import { parseS3Repository } from '../../../src/providers/s3-repository.ts';
import { parseServer } from '../../../src/providers/server.ts';
import { formatTableOrRecords, type Column } from '../table.ts';
import type { Listing, View } from './listing.ts';
import { formatSetState } from './set-state.ts';

type Values = ReadonlyMap<string, string>;

/** One of pxctl's tables. */
interface Kind {
  readonly heading: string;
  readonly takes: (provider: string) => boolean;
  /** The columns between UUID and NAME, with which every table begins, and STATE, with which every table ends. */
  readonly columns: readonly (readonly [title: string, cell: (set: CredentialSet, values: Values) => string])[];
}

const NONE = '-';

const ENCRYPTION = ['ENCRYPTION', ({ fields }: CredentialSet) => `${fields.includes('backup_password')}`] as const;

const KINDS: readonly Kind[] = [
  {
    heading: 'S3 Credentials',
    takes: (provider) => S3_PROVIDER_IDS.has(provider),
    columns: [
      ['REGION', (_, values) => values.get('region') ?? NONE],
      [
        'ENDPOINT',
        (_, values) =>
          serversOf(values)
            .map(({ host }) => host)
            .join(',') || NONE,
      ],
      ['ACCESS KEY', (_, values) => values.get('access_key') ?? NONE],
      ['SSL ENABLED', (_, values) => `${serversOf(values).every(({ isTls }) => isTls)}`],
      ENCRYPTION,
      ['BUCKET', (_, values) => values.get('bucket') ?? bucketOf(parseS3Repository(repositoryOf(values)))],
    ],
  },
  {
    heading: 'Azure Credentials',
    takes: (provider) => provider === 'azure',
    columns: [
      ['ACCOUNT NAME', (_, values) => values.get('account_name') ?? NONE],
      ENCRYPTION,
      ['BUCKET', (_, values) => values.get('bucket') ?? bucketOf(parseAzureRepository(repositoryOf(values)))],
    ],
  },
  {
    heading: 'Google Credentials',
    takes: (provider) => provider === 'google',
    columns: [
      ['PROJECT ID', (_, values) => values.get('project_id') ?? NONE],
      ENCRYPTION,
      ['BUCKET', (_, values) => values.get('bucket') ?? bucketOf(parseGoogleRepository(repositoryOf(values)))],
    ],
  },
  {
    heading: 'Other Credentials',
    takes: (provider) => !PROVIDERS.has(provider),
    columns: [['PROVIDER', ({ provider }) => provider ?? NONE]],
  },
];

/** Formats the sets as `pxctl credentials list` shows its credentials: a table for each kind of provider. */
export function formatPortworxTables({ credentials, sets }: Listing, { nowMs, width }: View): string {
  const values = new Map<string, Map<string, string>>();
  for (const { set, owner, field, value } of credentials) {
    if (typeof field !== 'string' || typeof value !== 'string') continue;
    const key = keyOf(set ?? '', owner);
    values.set(key, (values.get(key) ?? new Map<string, string>()).set(field, value));
  }
  const tables = KINDS.flatMap(({ heading, takes, columns }) => {
    const rows = sets
      .filter(({ provider }) => takes(provider ?? ''))
      .map((set) => {
        const own = values.get(keyOf(set.set, set.owner)) ?? new Map<string, string>();
        return [set.uuid, set.set, ...columns.map(([, cell]) => cell(set, own)), formatSetState(set, nowMs)];
      });
    if (rows.length === 0) return [];
    const titles: Column[] = ['UUID', 'NAME', ...columns.map(([title]) => title)].map((title) => ({ title }));
    return [`${heading}\n\n${formatTableOrRecords([...titles, { title: 'STATE', isWrapped: true }], rows, width)}`];
  });
  return tables.join('\n');
}

/** The key of a set: sets of different owners may have the same name. */
function keyOf(set: string, owner: number): string {
  return `${owner} ${set}`;
}

function repositoryOf(values: Values): string {
  return values.get('backup_repo') ?? '';
}

function bucketOf(repository: { readonly bucket: string } | { readonly reason: string }): string {
  return 'bucket' in repository ? repository.bucket : NONE;
}

/** Returns the servers of `endpoint`, else that of the repository; none if both are absent, which means Amazon. */
function serversOf(values: Values): readonly { readonly host: string; readonly isTls: boolean }[] {
  const endpoint = values.get('endpoint');
  const named = endpoint?.split(',').map(parseServer) ?? [parseS3Repository(repositoryOf(values))];
  return named.flatMap((server) => ('reason' in server ? [] : [server]));
}
