import { PROVIDERS } from './providers/registry.ts';
import { membershipOf, providerOf } from './sets.ts';

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
  const checks = fields.flatMap(({ check }) => (check === undefined ? [] : [check]));
  if (checks.length === 0) return undefined;
  const text = readText();
  const reasons = checks.map((check) => (text === undefined ? 'it is not text' : check(text)));
  return reasons.includes(undefined) ? undefined : reasons[0];
}
