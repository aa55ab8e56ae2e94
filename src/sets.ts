import { NAME_LENGTH_MAX } from './limits.ts';
import { isUuid } from './names.ts';
import { PROVIDER_IDS } from './providers/common-fields.ts';
import type { Provider } from './providers/provider.ts';
import { FIELD_IDS, PROVIDERS } from './providers/registry.ts';

/** The set and the field that a credential belongs to, by its name. */
export interface SetMembership {
  readonly set: string;
  readonly field: string;
}

const SET_NAME = /^[a-z0-9][a-z0-9_.-]*$/;

/** Every field with the suffix that it gives a name, longest first. */
const SUFFIXES: readonly { readonly field: string; readonly suffix: string }[] = FIELD_IDS.map((field) => ({
  field,
  suffix: `_${field}`,
}));

/** Longest name of a set, in characters: with the shortest field, it makes the longest name of a credential. */
const SET_LENGTH_MAX: number = NAME_LENGTH_MAX - memberName('', FIELD_IDS.at(-1) ?? '').length;

/**
 * Returns the set and field of a canonical name `cio_<set>_<field>`: the field is the longest known suffix, the set is
 * the part before it. Returns undefined for every other name, and if that part has the form of a UUID: a UUID given as
 * a target always means the set that it is derived from.
 */
export function membershipOf(name: string): SetMembership | undefined {
  if (!name.startsWith('cio_')) return undefined;
  const found = SUFFIXES.find(({ suffix }) => name.endsWith(suffix));
  if (found === undefined) return undefined;
  const set = name.slice('cio_'.length, -found.suffix.length);
  return isSetName(set) ? { set, field: found.field } : undefined;
}

/** Returns the name of the credential for a field of a set. */
export function memberName(set: string, field: string): string {
  return `cio_${set}_${field}`;
}

/**
 * Returns the canonical name of a set: `aws_alt` for Storidge's `alt_aws`. Undefined for a text that cannot be the name
 * of a set.
 */
export function canonicalSetName(text: string): string | undefined {
  if (text.length > SET_LENGTH_MAX) return undefined;
  // The same replacement as in canonicalName, where a field follows the name of the set.
  const name = text.replace(/^alt_(aws|minio)(?=_|$)/, '$1_alt');
  return isSetName(name) ? name : undefined;
}

function isSetName(text: string): boolean {
  return SET_NAME.test(text) && !isUuid(text);
}

/**
 * Returns the provider of a set: the one that the first word of its name stands for, or else the one in its field
 * `provider`. Undefined if that is not a supported provider.
 */
export function providerOf(set: string, providerField: string | undefined): Provider | undefined {
  const firstWord = set.split('_', 1)[0] ?? '';
  const id = PROVIDER_IDS.includes(firstWord) ? firstWord : providerField;
  return id === undefined ? undefined : PROVIDERS.get(id);
}

/** Tells whether a set uses the machine's own identity instead of keys, by the value of its field `use_iam`. */
export function usesIdentity(useIamField: string | undefined): boolean {
  return useIamField === 'true';
}

/** Returns the required fields that a set lacks; only `provider` if it has no supported provider. */
export function missingOf(
  provider: Provider | undefined,
  presentFields: ReadonlySet<string>,
  useIamField: string | undefined,
): string[] {
  if (provider === undefined) return ['provider'];
  const needsKeys = !usesIdentity(useIamField);
  return provider.fields
    .filter(({ isRequired, isReplacedByIdentity }) => isRequired && (needsKeys || isReplacedByIdentity !== true))
    .map(({ id }) => id)
    .filter((id) => !presentFields.has(id));
}
