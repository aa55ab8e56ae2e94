import type { Provider } from './providers/provider.ts';
import { usesIdentity } from './sets.ts';

/** How the environment of a command differs from that of its caller. */
export interface EnvironmentChange {
  /** Variables to set, in a stable order. */
  readonly set: ReadonlyMap<string, string>;
  /** Variables of the caller to remove, because they would override or contradict the set. */
  readonly unset: readonly string[];
}

/**
 * Returns the variables from which restic, rclone and the provider's own tools read a set. The rclone remote has the
 * name of the set: `aws:`, `aws_alt:`.
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
  return { set: variables, unset: [...contradicting].filter((name) => !variables.has(name)) };
}

/** Returns the prefix of the variables that define a set's rclone remote, as in `RCLONE_CONFIG_AWS_`. */
export function remoteVariablePrefix(set: string): string {
  return `RCLONE_CONFIG_${set.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_')}_`;
}

/** Returns the variables that take the path of a file, each with the id of the field whose value the file contains. */
export function fileVariablesOf(provider: Provider, values: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const { given } = withIdentity(provider, values);
  return new Map(
    provider.fields
      .filter(({ id }) => given.has(id))
      .flatMap(({ id, fileVariables = [] }) => fileVariables.map((name) => [name, id] as const)),
  );
}

/**
 * Adapts a set that uses the machine's own identity: its keys are not given to the command, the caller's keys are
 * removed, and the caller's variables that select an identity (a role) stay. Any other set is unchanged.
 */
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
