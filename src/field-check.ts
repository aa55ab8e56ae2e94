import type { Field } from './providers/provider.ts';
import { PROVIDERS } from './providers/registry.ts';
import { membershipOf, providerOf } from './sets.ts';

/**
 * Longest text of a field of one line that is no secret, in characters. It is far above any real one, and keeps a check
 * that parses the text short: one of a million servers would take a second.
 */
export const LINE_LENGTH_MAX = 4096;

/** The fields of all providers, by their id. */
const FIELDS_OF_ANY = Map.groupBy(
  [...PROVIDERS.values()].flatMap((provider) => provider.fields),
  ({ id }) => id,
);

/**
 * Returns the reason why a value is invalid for the field that the credential's name stands for, in lower case and
 * without the value. Undefined if the value is valid, and for a name that stands for no field.
 *
 * @param readText returns the value as text, or undefined if its bytes are not text. It is called only if there is
 *   something to check, so that no secret becomes a JavaScript string without need
 * @param providerField the value of the set's field `provider` if that is stored by the same call
 */
export function invalidValueReason(
  name: string,
  readText: () => string | undefined,
  providerField: string | undefined,
): string | undefined {
  const membership = membershipOf(name);
  if (membership === undefined) return undefined;
  const { set, field: id } = membership;
  const own = providerOf(set, providerField)?.fields.filter((field) => field.id === id) ?? [];
  // If the provider is not given here, it may be any: the field `provider` may be stored already, or come later.
  const fields = own.length > 0 ? own : (FIELDS_OF_ANY.get(id) ?? []);
  // Some providers share a field.
  const checked = [...new Set(fields)].filter(({ check }) => check !== undefined);
  if (checked.length === 0) return undefined;
  const text = readText();
  if (text === undefined) return 'it is not text';
  let first: string | undefined;
  for (const field of checked) {
    const reason = reasonAgainst(field, text);
    if (reason === undefined) return undefined;
    first ??= reason;
  }
  return first;
}

/** Returns the reason why a text is invalid for a field, as {@link Field.check} does; undefined if it is valid. */
function reasonAgainst(field: Field, text: string): string | undefined {
  return isTooLong(field, text) ? `it has more than ${LINE_LENGTH_MAX} characters` : field.check?.(text);
}

/** Tells whether a text is longer than any value of a field of one line. */
export function isTooLong({ input }: Field, text: string): boolean {
  return input === 'text' && text.length > LINE_LENGTH_MAX;
}
