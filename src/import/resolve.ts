import type { Provider } from '../providers/provider.ts';
import { FIELD_IDS, PROVIDERS, S3_PROVIDER_IDS } from '../providers/registry.ts';
import { isAmazon, parseS3Repository } from '../providers/s3-repository.ts';
import { parseServer } from '../providers/server.ts';
import { canonicalName } from '../names.ts';
import { canonicalSetName, membershipOf, providerOf } from '../sets.ts';
import type { Entry } from './entry.ts';
import { ImportError, MistypedKeyError } from './import-error.ts';
import { BOOLEAN_FIELDS, closestKey, meaningOf, providerIdOf } from './keys.ts';
import { describeKey, showableKey, withoutSlash } from './text.ts';

/** One set as read from a file. */
export interface ParsedSet {
  /** The set's name, if the file has one that is valid for a set. */
  readonly set: string | undefined;
  /** The provider that the file names, or that follows from its contents. Never part of {@link ParsedSet.values}. */
  readonly provider: Provider | undefined;
  /** By field id; never empty. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Makes a set from the keys and values of a file.
 *
 * @param givenProvider the provider that the user gave; undefined if none was given
 * @throws ImportError for an unknown key, a key without a value, or two spellings of one key with different values
 */
export function resolveEntries(entries: readonly Entry[], givenProvider: Provider | undefined): ParsedSet {
  const found = new Map<string, Entry>();
  const hints = new Set<string>();
  let set: string | undefined;
  let named: Entry | undefined;
  let isWithoutTls: boolean | undefined;
  const keep = (id: string, entry: Entry): void => {
    const earlier = found.get(id);
    if (earlier !== undefined && earlier.value !== entry.value) {
      throw new ImportError(
        entry.line,
        `${describeKey(entry.key)} and that of line ${earlier.line} are the same field, with two values`,
      );
    }
    found.set(id, earlier ?? entry);
  };
  for (const entry of entries) {
    if (entry.value.trim() === '') throw new ImportError(entry.line, `${describeKey(entry.key)} has no value`);
    const member = membershipOf(canonicalName(entry.key));
    if (member !== undefined) {
      if (set !== undefined && set !== member.set)
        throw new ImportError(entry.line, 'it has credentials of more than one set');
      ({ set } = member);
      if (member.field === 'provider') named = entry;
      else keep(member.field, entry);
      continue;
    }
    const meaning = meaningOf(entry.key);
    switch (meaning?.kind) {
      case undefined:
        throw unknownKey(entry, givenProvider);
      case 'field':
        if (meaning.provider !== undefined) hints.add(meaning.provider);
        keep(meaning.id, withPlainValue(meaning.id, entry));
        break;
      case 'opposite':
        keep(meaning.id, { ...entry, value: String(!parseBoolean(entry)) });
        break;
      case 'disable_ssl':
        isWithoutTls = parseBoolean(entry);
        break;
      case 'name':
        set ??= canonicalSetName(entry.value.toLowerCase());
        break;
      case 'provider':
        named = entry;
        break;
    }
  }
  if (found.size === 0) throw new ImportError(undefined, 'it has no key of a credential');
  const values = new Map([...found].map(([id, { value }]) => [id, value]));
  if (isWithoutTls !== undefined) setScheme(values, isWithoutTls);
  const provider = chooseProvider(givenProvider, named, set, values, hints);
  if (provider !== undefined) assertFields(provider, found);
  return { set, provider, values };
}

/** Infers the provider from the values of a set and the providers that its keys hint at; undefined if it cannot. */
export function inferProvider(values: ReadonlyMap<string, string>, hints: ReadonlySet<string>): Provider | undefined {
  const repository = values.get('backup_repo') ?? '';
  if (repository.startsWith('azure:')) return PROVIDERS.get('azure');
  if (repository.startsWith('gs:')) return PROVIDERS.get('google');
  const parsed = parseS3Repository(repository);
  const server = 'reason' in parsed ? parseServer(values.get('endpoint')?.split(',', 1)[0] ?? '') : parsed;
  if (!('reason' in server) && !hints.has('azure') && !hints.has('google')) {
    return PROVIDERS.get(isAmazon(server) ? 'aws' : hints.has('minio') ? 'minio' : 's3');
  }
  if (values.has('account_name') || values.has('account_key')) return PROVIDERS.get('azure');
  if (values.has('service_account') || values.has('project_id')) return PROVIDERS.get('google');
  return hints.size === 1 ? PROVIDERS.get([...hints].join('')) : undefined;
}

function chooseProvider(
  givenProvider: Provider | undefined,
  named: Entry | undefined,
  set: string | undefined,
  values: ReadonlyMap<string, string>,
  hints: ReadonlySet<string>,
): Provider | undefined {
  const ofSet = set === undefined ? undefined : providerOf(set, undefined);
  if (named === undefined) return givenProvider ?? ofSet ?? inferProvider(values, hints);
  const id = providerIdOf(named.value);
  if (id === undefined) {
    const shown = showableKey(named.value);
    throw new ImportError(
      named.line,
      `the provider${shown === undefined ? '' : ` ${shown}`} is not known; there are ${[...PROVIDERS.keys()].join(', ')}`,
    );
  }
  const asked = givenProvider ?? ofSet;
  if (asked === undefined || asked.id === id) return PROVIDERS.get(id);
  if (S3_PROVIDER_IDS.has(asked.id) && S3_PROVIDER_IDS.has(id)) return asked;
  throw new ImportError(named.line, `it is a credential for ${id}, not for ${asked.id}`);
}

function assertFields(provider: Provider, found: ReadonlyMap<string, Entry>): void {
  const ids = new Set(provider.fields.map(({ id }) => id));
  for (const [id, entry] of found) if (!ids.has(id)) throw unknownKey(entry, provider);
}

function unknownKey({ key, line }: Entry, provider: Provider | undefined): ImportError {
  const near = closestKey(key, provider?.fields.map(({ id }) => id) ?? FIELD_IDS);
  const whose = provider === undefined ? '' : ` for ${provider.id}`;
  const reason = `${describeKey(key)} is not known${whose}`;
  if (near === undefined || near === key) return new ImportError(line, reason);
  return new MistypedKeyError(line, `${reason}; is ${near} meant?`);
}

/** Normalizes the spelling of a boolean or an endpoint. Any other value stays as it is. */
function withPlainValue(id: string, entry: Entry): Entry {
  if (BOOLEAN_FIELDS.has(id)) return { ...entry, value: String(parseBoolean(entry)) };
  return id === 'endpoint' ? { ...entry, value: withoutSlash(entry.value) } : entry;
}

function parseBoolean({ key, value, line }: Entry): boolean {
  if (/^(?:true|yes|on|1)$/i.test(value.trim())) return true;
  if (/^(?:false|no|off|0)$/i.test(value.trim())) return false;
  throw new ImportError(line, `${describeKey(key)} is neither true nor false`);
}

/** Adds the scheme to servers that have none. Portworx has an option of its own for whether to use TLS. */
function setScheme(values: Map<string, string>, isWithoutTls: boolean): void {
  const endpoint = values.get('endpoint');
  if (endpoint === undefined) return;
  const scheme = isWithoutTls ? 'http://' : 'https://';
  const servers = endpoint.split(',').map((server) => (/^https?:\/\//.test(server) ? server : `${scheme}${server}`));
  values.set('endpoint', servers.join(','));
}
