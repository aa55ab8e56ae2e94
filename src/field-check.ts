import { PROVIDERS } from './providers/registry.ts';
import { membershipOf, providerOf } from './sets.ts';

/** The fields of all providers, by their id. */
const FIELDS_OF_ANY = Map.groupBy(
  [...PROVIDERS.values()].flatMap((provider) => provider.fields),
  ({ id }) => id,
);

/**
 * Why a value cannot be that of the field which the name stands for, in lower case and without the value; undefined where
 * it can, and for a name that stands for no field.
 *
 * @param readText called only where there is something to check, so that no secret becomes a text for nothing; undefined
 *   for bytes that are none
 * @param providerField what is stored together with it as the set's field `provider`
 */
export function refusalOfValue(
  name: string,
  readText: () => string | undefined,
  providerField: string | undefined,
): string | undefined {
  const membership = membershipOf(name);
  if (membership === undefined) return undefined;
  const { set, field: id } = membership;
  const own = providerOf(set, providerField)?.fields.filter((field) => field.id === id) ?? [];
  // A set whose provider is not said here may be one of any: its field `provider` can be there already, or come later.
  const fields = own.length > 0 ? own : (FIELDS_OF_ANY.get(id) ?? []);
  const checks = fields.flatMap(({ check }) => (check === undefined ? [] : [check]));
  if (checks.length === 0) return undefined;
  const text = readText();
  const reasons = checks.map((check) => (text === undefined ? 'it is not text' : check(text)));
  return reasons.includes(undefined) ? undefined : reasons[0];
}
