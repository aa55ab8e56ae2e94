import { NAME_LENGTH_MAX } from './limits.ts';
import { isUuid } from './names.ts';
import { PROVIDER_IDS } from './providers/common-fields.ts';
import type { Provider } from './providers/provider.ts';
import { FIELD_IDS, PROVIDERS } from './providers/registry.ts';

/** The set and the field that a credential's name stands for. */
export interface SetMembership {
  readonly set: string;
  readonly field: string;
}

const SET_NAME = /^[a-z0-9][a-z0-9_.-]*$/;

/** Every field with what goes before it in a name, longest first. */
const SUFFIXES: readonly { readonly field: string; readonly suffix: string }[] = FIELD_IDS.map((field) => ({
  field,
  suffix: `_${field}`,
}));

/** Longest name of a set, in characters: with the shortest field, it still makes the name of a credential. */
const SET_LENGTH_MAX: number = NAME_LENGTH_MAX - memberName('', FIELD_IDS.at(-1) ?? '').length;

/**
 * The set and field of a canonical name `cio_<set>_<field>`: the field is the longest known suffix, the set is what
 * stands between. Undefined for every other name, and where a UUID stands between: one that is given as a target means
 * the set that it is derived from, never a set that is called like it.
 */
export function membershipOf(name: string): SetMembership | undefined {
  if (!name.startsWith('cio_')) return undefined;
  const found = SUFFIXES.find(({ suffix }) => name.endsWith(suffix));
  if (found === undefined) return undefined;
  const set = name.slice('cio_'.length, -found.suffix.length);
  return isSetName(set) ? { set, field: found.field } : undefined;
}

/** The name of a set's field. */
export function memberName(set: string, field: string): string {
  return `cio_${set}_${field}`;
}

/** The canonical name of a set: Storidge's `alt_aws` is `aws_alt`. Undefined where the text can name no set. */
export function canonicalSetName(text: string): string | undefined {
  if (text.length > SET_LENGTH_MAX) return undefined;
  // The same rewriting as in canonicalName, which sees the name of the set with a field behind it.
  const name = text.replace(/^alt_(aws|minio)(?=_|$)/, '$1_alt');
  return isSetName(name) ? name : undefined;
}

function isSetName(text: string): boolean {
  return SET_NAME.test(text) && !isUuid(text);
}

/**
 * The provider of a set: its first word where that names one, else the value of its field `provider`.
 * Undefined where neither names a provider that is supported.
 */
export function providerOf(set: string, providerField: string | undefined): Provider | undefined {
  const firstWord = set.split('_', 1)[0] ?? '';
  const id = PROVIDER_IDS.includes(firstWord) ? firstWord : providerField;
  return id === undefined ? undefined : PROVIDERS.get(id);
}

/** Tells whether a set uses the machine's own identity in place of keys, by the value of its field `use_iam`. */
export function usesIdentity(useIamField: string | undefined): boolean {
  return useIamField === 'true';
}

/** The required fields that a set does not have; just `provider` where it has no supported one. */
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
