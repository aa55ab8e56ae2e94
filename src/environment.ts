import type { Provider } from './providers/provider.ts';
import { usesIdentity } from './sets.ts';

/** What a command gets on top of its caller's environment. */
export interface EnvironmentChange {
  /** Variables to set, in a stable order. */
  readonly set: ReadonlyMap<string, string>;
  /** Variables of the caller to leave out, because they would override or contradict the set. */
  readonly clear: readonly string[];
}

/**
 * The variables by which restic, rclone and the provider's own tools take a set. The rclone remote is called like the
 * set: `aws:`, `aws_alt:`.
 *
 * @param values the set's values by field id
 */
export function environmentOf(set: string, provider: Provider, values: ReadonlyMap<string, string>): EnvironmentChange {
  const variables = new Map<string, string>();
  const { given, contradicting } = withIdentity(provider, values);
  for (const field of provider.fields) {
    const value = given.get(field.id);
    if (value !== undefined) for (const name of field.variables) variables.set(name, value);
  }
  const remote = remoteVariablePrefix(set);
  const { fixed, fromFields, derived } = provider.rclone;
  for (const [option, value] of Object.entries(fixed)) variables.set(`${remote}${option}`, value);
  for (const [option, field] of Object.entries(fromFields)) {
    const value = given.get(field);
    if (value === undefined) contradicting.add(`${remote}${option}`);
    else variables.set(`${remote}${option}`, value);
  }
  for (const option of derived) contradicting.add(`${remote}${option}`);
  const { rclone, variables: others } = provider.derive(given);
  for (const [option, value] of Object.entries(rclone)) variables.set(`${remote}${option}`, value);
  for (const [name, value] of Object.entries(others)) variables.set(name, value);
  return { set: variables, clear: [...contradicting].filter((name) => !variables.has(name)) };
}

/** What the variables of a set's rclone remote begin with. */
export function remoteVariablePrefix(set: string): string {
  return `RCLONE_CONFIG_${set.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_')}_`;
}

/** The variables that take the path of a file with a value, and the fields whose values these are. */
export function fileVariablesOf(provider: Provider, values: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const { given } = withIdentity(provider, values);
  return new Map(
    provider.fields
      .filter(({ id }) => given.has(id))
      .flatMap(({ id, fileVariables = [] }) => fileVariables.map((name) => [name, id] as const)),
  );
}

/** A set that uses the machine's identity gives no keys, takes away those of the caller, and leaves what tells of a role. */
function withIdentity(
  { fields, contradicting, identity }: Provider,
  values: ReadonlyMap<string, string>,
): { readonly given: ReadonlyMap<string, string>; readonly contradicting: Set<string> } {
  if (!usesIdentity(values.get('use_iam'))) return { given: values, contradicting: new Set(contradicting) };
  const keys = fields.filter(({ isReplacedByIdentity }) => isReplacedByIdentity === true);
  const ids = new Set(keys.map(({ id }) => id));
  return {
    given: new Map([...values].filter(([id]) => !ids.has(id))),
    contradicting: new Set([
      ...contradicting.filter((name) => !identity.includes(name)),
      ...keys.flatMap(({ variables }) => variables),
    ]),
  };
}
