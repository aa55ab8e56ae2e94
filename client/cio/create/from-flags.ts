import type { Provider } from '../../../src/providers/provider.ts';
import { usesIdentity } from '../../../src/sets.ts';
import { usageError } from '../command-error.ts';
import type { Session } from '../session.ts';
import { isIntact, SECRET_ARGUMENT_WARNING } from '../raw-arguments.ts';
import { endpointValue } from './endpoint.ts';
import { givenFieldOptions, type FieldOption, type FieldOptions } from './options.ts';
import type { GivenValue, GivenValues } from './given-values.ts';
import { proxyOf } from './proxy.ts';
import { readFileText, readPipe } from './read-text.ts';
import { assertIsNew, UNSUPPORTED_PROVIDERS, type SetTarget } from './set-target.ts';

/** An option that sets a field: its value is text as it is, a secret that can be asked for, or the path of a file. */
interface Flag {
  readonly option: FieldOption;
  readonly field: string;
  readonly kind: 'text' | 'secret' | 'file' | 'other';
}

const S3_FLAGS: readonly Flag[] = [
  { option: 's3-access-key', field: 'access_key', kind: 'text' },
  { option: 's3-secret-key', field: 'secret_key', kind: 'secret' },
  { option: 's3-region', field: 'region', kind: 'text' },
  { option: 's3-endpoint', field: 'endpoint', kind: 'other' },
  { option: 's3-disable-ssl', field: 'endpoint', kind: 'other' },
  { option: 's3-storage-class', field: 'storage_class', kind: 'text' },
  { option: 's3-sse', field: 'sse', kind: 'text' },
  { option: 'disable-path-style', field: 'path_style', kind: 'other' },
];

const AZURE_FLAGS: readonly Flag[] = [
  { option: 'azure-account-name', field: 'account_name', kind: 'text' },
  { option: 'azure-account-key', field: 'account_key', kind: 'secret' },
];

const GOOGLE_FLAGS: readonly Flag[] = [
  { option: 'google-project-id', field: 'project_id', kind: 'text' },
  { option: 'google-json-key-file', field: 'service_account', kind: 'file' },
];

const ANY_FLAGS: readonly Flag[] = [
  { option: 'bucket', field: 'bucket', kind: 'text' },
  { option: 'encryption-passphrase', field: 'backup_password', kind: 'secret' },
  { option: 'use-iam', field: 'use_iam', kind: 'other' },
  { option: 'use-proxy', field: 'proxy', kind: 'other' },
  { option: 'proxy', field: 'proxy', kind: 'text' },
];

const { nfs: NFS } = UNSUPPORTED_PROVIDERS;

/** Options of pxctl that are not supported, each with the reason or an alternative. */
const UNSUPPORTED: { readonly [Option in FieldOption]?: string } = {
  'use-workload-identity': "it needs a Kubernetes token, which a host does not have; --use-iam is the host's identity",
  'nfs-server': NFS,
  'nfs-sub-path': NFS,
  'nfs-mount-opts': NFS,
  'nfs-timeout-seconds': NFS,
};

/** @throws CommandError `Usage` for an option of pxctl that is not supported */
export function refuseUnsupported(options: FieldOptions): void {
  for (const option of givenFieldOptions(options)) {
    const reason = UNSUPPORTED[option];
    if (reason !== undefined) throw usageError(`--${option} is not supported`, reason);
  }
}

/** Returns the fields that the options set, without reading any value. */
export function fieldsOfFlags(provider: Provider, options: FieldOptions): string[] {
  return flagsOf(provider, options).map(({ field }) => field);
}

/**
 * Reads the fields that are given as pxctl's options.
 *
 * @param isWhole the options are the only source of fields: required keys of a new set that are not given are asked for
 * @throws CommandError `Usage` for an option of another provider, or a key that is missing and cannot be asked for
 */
export async function readFlags(
  session: Session,
  target: SetTarget,
  provider: Provider,
  options: FieldOptions,
  isWhole: boolean,
): Promise<GivenValues> {
  const given = flagsOf(provider, options);
  const values = new Map<string, GivenValue>();
  const missing = isWhole ? missingFlags(target, provider, options, given) : [];
  assertIsNew(
    target,
    [...given, ...missing].map(({ field }) => field),
  );
  refuseMissing(session, missing);
  warnOfSecrets(session, given, options);
  for (const flag of [...given, ...missing]) {
    const source = `--${flag.option}`;
    const text = await readFlag(session, target, provider, options, flag, given);
    values.set(flag.field, { text, source });
  }
  return values;
}

function flagsOf(provider: Provider, options: FieldOptions): Flag[] {
  const own = ownFlags(provider);
  const known = new Map([...own, ...ANY_FLAGS].map((flag) => [flag.option, flag]));
  return givenFieldOptions(options).map((option) => {
    const flag = known.get(option);
    if (flag !== undefined) return flag;
    const names = own.map((each) => `--${each.option}`).join(', ');
    throw usageError(`--${option} is not for provider ${provider.id}`, `its options are ${names}`);
  });
}

/** Returns the option that sets a field, if there is one. */
export function optionOf(provider: Provider, field: string): FieldOption | undefined {
  return [...ownFlags(provider), ...ANY_FLAGS].find((flag) => flag.field === field)?.option;
}

function ownFlags({ id }: Provider): readonly Flag[] {
  if (id === 'azure') return AZURE_FLAGS;
  return id === 'google' ? GOOGLE_FLAGS : S3_FLAGS;
}

/** Returns the options for keys that the set would lack. */
function missingFlags(
  { fields, publicValues }: SetTarget,
  provider: Provider,
  options: FieldOptions,
  given: readonly Flag[],
): Flag[] {
  if (options['use-iam'] || usesIdentity(publicValues.get('use_iam'))) {
    return [];
  }
  const isThere = (id: string): boolean => fields.has(id) || given.some(({ field }) => field === id);
  const keys = provider.fields.filter(({ isRequired }) => isRequired).map(({ id }) => id);
  return ownFlags(provider).filter(({ field }) => keys.includes(field) && !isThere(field));
}

/** Refuses missing keys, except secrets, which can be asked for on a terminal. */
function refuseMissing(session: Session, missing: readonly Flag[]): void {
  const needed = missing.filter(({ kind }) => kind !== 'secret' || !session.prompter.canAsk);
  if (needed.length === 0) return;
  const names = needed.map(({ option }) => `--${option}`);
  throw usageError(
    `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} missing`,
    '--use-iam needs no keys; --provider alone asks on a terminal',
  );
}

function warnOfSecrets(session: Session, given: readonly Flag[], options: FieldOptions): void {
  const isTyped = ({ option, kind }: Flag): boolean => kind === 'secret' && options[option] !== '-';
  if (given.some(isTyped)) session.warn(SECRET_ARGUMENT_WARNING);
}

async function readFlag(
  session: Session,
  target: SetTarget,
  provider: Provider,
  options: FieldOptions,
  { option, field, kind }: Flag,
  given: readonly Flag[],
): Promise<string> {
  const typed = options[option];
  if (typeof typed === 'string' && !isIntact(typed)) throw usageError(`--${option} is not UTF-8 text`);
  if (option === 's3-endpoint' || option === 's3-disable-ssl') {
    return endpointValue(options, target.publicValues.get('endpoint'));
  }
  if (option === 'use-iam') return 'true';
  if (option === 'disable-path-style') return 'false';
  if (option === 'use-proxy') return proxyOf(options, process.env);
  if (kind === 'file') return readFileText(`${typed}`, `--${option}`);
  if (kind !== 'secret' || (typeof typed === 'string' && typed !== '-')) return `${typed}`;
  if (session.prompter.canAsk) {
    const label = provider.fields.find(({ id }) => id === field)?.label ?? option;
    return session.prompter.askNew(`${label} (--${option})`);
  }
  if (given.filter((flag) => flag.kind === 'secret' && options[flag.option] === '-').length > 1) {
    throw usageError('two secrets cannot be read from one pipe', 'give one of them with --from-env');
  }
  return readPipe();
}
